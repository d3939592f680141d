using System.ComponentModel;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>Open-coded number iterators: <c>bpf_iter_num_new</c>, <c>_next</c>, <c>_destroy</c> on an 8-byte state {current, end}.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static unsafe class IteratorFunctions
{
    /// <summary>bpf_iter_num_new(it, start, end): 0; -EINVAL or -E2BIG, and then the iterator is empty.</summary>
    public static ulong New(ulong iterator, ulong start, ulong end)
    {
        var state = (int*)iterator;
        int first = (int)start, last = (int)end;
        var error = first > last ? Errno.EINVAL : (long)last - first > Limits.LoopRounds ? Errno.E2BIG : 0;
        // The state holds the number before the next one. With first == int.MinValue it wraps, and next wraps back.
        state[0] = error == 0 ? unchecked(first - 1) : 0;
        state[1] = error == 0 ? last : 0;
        return Errno.Status(error);
    }

    /// <summary>bpf_iter_num_next(it): address of the number, or 0 at the end.</summary>
    public static ulong Next(ulong iterator)
    {
        var state = (int*)iterator;
        var next = unchecked(state[0] + 1);
        if (next >= state[1])
        {
            state[0] = state[1] = 0;
            return 0;
        }
        state[0] = next;
        return iterator;
    }

    /// <summary>bpf_iter_num_destroy(it)</summary>
    public static ulong Destroy(ulong iterator)
    {
        *(ulong*)iterator = 0;
        return 0;
    }
}
