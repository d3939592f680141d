namespace UringBpf.Runtime;

/// <summary>Linux error numbers that helpers give back, as the unsigned r0 of a negative status.</summary>
internal static class Errno
{
    public const int EPERM = 1, ENOENT = 2, EIO = 5, E2BIG = 7, EAGAIN = 11, ENOMEM = 12, EFAULT = 14, EBUSY = 16, EEXIST = 17, EINVAL = 22,
        ENOSPC = 28, ERANGE = 34, EOPNOTSUPP = 95;

    /// <summary>-errno as a register value.</summary>
    public static ulong Status(int errno) => (ulong)-(long)errno;
}
