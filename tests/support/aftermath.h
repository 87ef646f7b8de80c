/* aftermath.h - what a failed test's processes said last, told beside the failure: where a machine
 * runs the tests for us, their folders are gone before anybody can look. */
#ifndef TESTS_SUPPORT_AFTERMATH_H
#define TESTS_SUPPORT_AFTERMATH_H

/* The running test keeps logs below this folder: FOLDER/log, FOLDER/log/NAME.log or the same below
 * FOLDER/dev. The folder must lie where aftermath.c looks for it. */
void aftermath_note(const char *folder);

#endif
