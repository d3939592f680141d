using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>
/// Something that the owner does in a turn, after what was asked for before: never at once, not even where the caller is the driver, as operations
/// started just before wait for the next turn too, and a hook may be running. Pooled.
/// </summary>
internal sealed class OwnerCall : Waiter<int>, IRingCommand
{
    private Func<Ring, long, long, int?>? _work;
    private long _first, _second;
    private SafeHandle? _file;

    public OwnerCall(Ring ring) : base(ring)
    {
    }

    /// <summary>Asks for it.</summary>
    /// <param name="ring">Whose owner does it.</param>
    /// <param name="work">The result, or -errno; null when it is to be tried again in the next turn. What it throws is the ring's end. Captures nothing: it is given the
    /// ring, and the two numbers.</param>
    /// <param name="first">The work's.</param>
    /// <param name="second">The work's.</param>
    /// <param name="file">Kept open until it is done, or null.</param>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public static ValueTask<int> Start(Ring ring, Func<Ring, long, long, int?> work, long first, long second, SafeHandle? file = null)
    {
        var added = false;
        file?.DangerousAddRef(ref added);
        var call = ring.TakeCall();
        (call._work, call._first, call._second, call._file) = (work, first, second, file);
        var result = new ValueTask<int>(call, call.Version);
        ring.Post(call);
        ring.EndIfOrphaned();
        return result;
    }

    public void Run(Ring owner)
    {
        try
        {
            if (_work!(owner, _first, _second) is { } result) Refuse(owner, result);
            else owner.Post(this);
        }
        catch (BpfException lost)
        {
            _file?.DangerousRelease();
            _file = null;
            Fail(lost);
            throw;
        }
    }

    public void Refuse(Ring owner, int result)
    {
        _file?.DangerousRelease();
        _file = null;
        Complete(result);
    }

    protected override void Recycle() => Ring.Recycle(this);
}

public sealed unsafe partial class Ring
{
    private readonly ConcurrentQueue<OwnerCall> _calls = [];

    internal OwnerCall TakeCall() => _calls.TryDequeue(out var call) ? call : new OwnerCall(this);

    internal void Recycle(OwnerCall call) => _calls.Enqueue(call);
}
