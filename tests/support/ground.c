/* ground.c - where Criterion's memory lies that it shares with its tests' processes, at one address
 * in all: 2^45 + (rand_r() mod 2^22) * 2^24, mapped over what is there. The kernel puts programs
 * anywhere in the 2^40 bytes from 0x5555_5555_4000 on, anew for each process: one would lie there
 * at times. These are the draws from 0x5500_0000_0000 up to 0x5550_0000_0000, where nothing does,
 * and where ThreadSanitizer, which reserves nearly all the rest, lets programs map (Criterion issue
 * 274). */
#include "common/defs.h"

#include <stdlib.h>

enum { FIRST = 0x350000, DRAWS = 0x5000 };

int rand_r(unsigned int *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return (int)(FIRST + (*seed >> 8) % DRAWS);
}
