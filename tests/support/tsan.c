/* tsan.c - lets Criterion's test processes start under ThreadSanitizer (Criterion issue 274).
 * Criterion shares memory with them at 2^45 + (rand_r() mod 2^22) * 2^24, which ThreadSanitizer
 * reserves nearly all of; these are the draws that land where it lets programs map (the
 * 0x5500_0000_0000 to 0x5680_0000_0000 of position-independent programs). */
#include "common/defs.h"

#include <stdlib.h>

#ifdef __SANITIZE_THREAD__
int rand_r(unsigned int *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return (int)(0x350000 + (*seed >> 8) % 0x17000);
}
#endif
