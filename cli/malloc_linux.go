package cli

// SQLite's memory is the C library's. glibc gives each thread that asks an arena
// of its own, which keeps what is freed in it, and Go calls SQLite from many
// threads. It is told before any of them begins: an arena that is there stays.

// #include <features.h>
// #ifdef __GLIBC__
// #include <malloc.h>
// __attribute__((constructor)) static void share_one_arena(void) { mallopt(M_ARENA_MAX, 1); }
// #endif
import "C"
