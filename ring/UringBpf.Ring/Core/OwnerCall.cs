using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>
/// Something that the owner does in a turn, after what was asked for before: never at once, not even where the caller is the driver, as operations
/// started just before wait for the next turn too, and a hook may be running. Rare: not pooled.
/// </summary>
internal sealed class OwnerCall : Waiter<int>, IRingCommand
{
    private readonly Func<int?> _work;
    private readonly SafeHandle? _file;

    private OwnerCall(Ring ring, Func<int?> work, SafeHandle? file) : base(ring)
    {
        var added = false;
        file?.DangerousAddRef(ref added);
        _work = work;
        _file = file;
    }

    /// <summary>Asks for it.</summary>
    /// <param name="ring">Whose owner does it.</param>
    /// <param name="work">The result, or -errno; null when it is to be tried again in the next turn. What it throws is the ring's end.</param>
    /// <param name="file">Kept open until it is done, or null.</param>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public static ValueTask<int> Start(Ring ring, Func<int?> work, SafeHandle? file = null)
    {
        var call = new OwnerCall(ring, work, file);
        var result = new ValueTask<int>(call, call.Version);
        ring.Post(call);
        return result;
    }

    public void Run(Ring owner)
    {
        try
        {
            if (_work() is { } result) Refuse(owner, result);
            else owner.Post(this);
        }
        catch (BpfException lost)
        {
            _file?.DangerousRelease();
            Fail(lost);
            throw;
        }
    }

    public void Refuse(Ring owner, int result)
    {
        _file?.DangerousRelease();
        Complete(result);
    }

    protected override void Recycle()
    {
    }
}
