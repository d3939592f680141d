using Xunit;

namespace UringBpf.Runtime.Tests;

/// <summary>Errno results as registers hold them.</summary>
internal static class Expect
{
    public const int Eperm = -1, Enoent = -2, Eio = -5, E2big = -7, Eagain = -11, Efault = -14, Eexist = -17, Einval = -22, Enospc = -28,
        Erange = -34, Eopnotsupp = -95;

    public static void Status(int errno, ulong register) => Assert.Equal(errno, (long)register);
}
