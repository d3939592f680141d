namespace UringBpf.Runtime;

/// <summary>How an update treats a key that exists or does not, with the numbers of the Linux ABI.</summary>
[Flags]
public enum MapUpdateFlags : ulong
{
    /// <summary>BPF_ANY: add or replace.</summary>
    Any = 0,
    /// <summary>BPF_NOEXIST: add only.</summary>
    NoExist = 1,
    /// <summary>BPF_EXIST: replace only.</summary>
    Exist = 2,
    /// <summary>BPF_F_LOCK: copy while holding the spin lock in the value; only for values that have one.</summary>
    Lock = 4,
}
