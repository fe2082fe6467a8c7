/* The one function of bcryptprimitives.dll that the standard library needs and older versions of Wine do not have, over one
   that they have. Built and laid beside the programs by `cargo xtask windows`; nothing of it is shipped. */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length) {
    return RtlGenRandom(buffer, (ULONG)length);
}
