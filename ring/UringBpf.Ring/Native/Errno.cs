namespace UringBpf.Ring;

/// <summary>The error numbers this library uses or explains (errno(3), Linux values).</summary>
internal static class Errno
{
    public const int Perm = 1, NoEnt = 2, Intr = 4, IO = 5, BadF = 9, Again = 11, NoMem = 12, Access = 13, Fault = 14, Busy = 16,
        Exist = 17, NotDir = 20, IsDir = 21, Inval = 22, NFile = 23, MFile = 24, NoSpc = 28, Pipe = 32, NoSys = 38, Time = 62, BadFd = 77,
        OpNotSupp = 95, NoBufs = 105, TimedOut = 110, Already = 114, DQuot = 122, Canceled = 125;

    /// <summary>The symbolic name of an errno, such as <c>ENOENT</c>, or its number.</summary>
    public static string Name(int errno) => errno switch
    {
        Perm => "EPERM",
        NoEnt => "ENOENT",
        Intr => "EINTR",
        IO => "EIO",
        BadF => "EBADF",
        Again => "EAGAIN",
        NoMem => "ENOMEM",
        Access => "EACCES",
        Fault => "EFAULT",
        Busy => "EBUSY",
        Exist => "EEXIST",
        NotDir => "ENOTDIR",
        IsDir => "EISDIR",
        Inval => "EINVAL",
        NFile => "ENFILE",
        MFile => "EMFILE",
        NoSpc => "ENOSPC",
        Pipe => "EPIPE",
        NoSys => "ENOSYS",
        Time => "ETIME",
        BadFd => "EBADFD",
        OpNotSupp => "EOPNOTSUPP",
        NoBufs => "ENOBUFS",
        TimedOut => "ETIMEDOUT",
        Already => "EALREADY",
        DQuot => "EDQUOT",
        Canceled => "ECANCELED",
        _ => errno.ToString(System.Globalization.CultureInfo.InvariantCulture),
    };
}
