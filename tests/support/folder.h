/* folder.h - a folder of a test's own. */
#ifndef TESTS_SUPPORT_FOLDER_H
#define TESTS_SUPPORT_FOLDER_H

void folder_make(char *path);                /* ends with XXXXXX: what is put there makes it new */
void folder_remove(const char *path);        /* with all that is in it */

#endif
