/* On 32-bit MIPS long double is double, and the C library's functions for it are those for double under another name.
   Rust's arithmetic brings an fmod and a sqrt of its own, which a linker takes before the C library's; these it lacks. */
#include <math.h>
#define fmod fmodl
#define sqrt sqrtl
