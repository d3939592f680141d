namespace UringBpf.Ring;

// Messages between hooks, of one ring or of several: each starts a chain of its target.
public sealed unsafe partial class Ring
{
    /// <summary>Starts chains for the messages that have come, as many as the target's limit allows.</summary>
    internal void Deliver(HookLink link)
    {
        while (!_stopping && !link.Detaching && link.MessageChains < link.Limits.MaxMessageChains)
        {
            if (MustWait())
            {
                link.AwaitTurn();
                return;
            }
            if (!link.TryReceive(out var message)) return;
            var chain = NewChain(link);
            chain->Host = -1;
            chain->Context.Scratch[0] = message.Value;
            if (message.Policy != null) _givenByMessage.Add(chain->Id, message.Policy);
            link.MessageChains++;
            _recorder?.ChainStarted(chain);
            var refused = HookCalls.Receive(chain, message.UserData);
            if (refused < 0) End(chain, refused, refused);
        }
    }
}

/// <summary>What a hook sends to another.</summary>
/// <param name="UserData">As the started chain's first completion has it.</param>
/// <param name="Value">Its scratch begins with this.</param>
/// <param name="Policy">What judges it, as it judges the chain that sent it; or null.</param>
internal readonly record struct HookMessage(ulong UserData, ulong Value, PolicyLink? Policy);

/// <summary>Messages on their way to one hook, from any number of rings. Fixed size; sending allocates nothing.</summary>
internal sealed class MessageQueue(HookLink link, int capacity) : IRingCommand
{
    private readonly Lock _gate = new();
    private readonly HookMessage[] _items = new HookMessage[capacity];
    private int _first;
    private int _count;
    private bool _posted;
    private bool _closed;

    /// <summary>0, or -errno when it is full or the hook is gone.</summary>
    public int Send(in HookMessage message)
    {
        lock (_gate)
        {
            if (_closed) return -Errno.Canceled;
            if (_count == capacity) return -Errno.NoSpc;
            _items[(_first + _count++) % capacity] = message;
            if (_posted) return 0;
            _posted = true;
        }
        link.Ring.Post(this);
        return 0;
    }

    public bool TryReceive(out HookMessage message)
    {
        lock (_gate)
        {
            message = _items[_first];
            if (_count == 0) return false;
            _items[_first] = default;
            _first = (_first + 1) % capacity;
            _count--;
            return true;
        }
    }

    /// <summary>Ring's thread: there are messages, and no slot for their operation.</summary>
    public void AwaitTurn()
    {
        lock (_gate)
        {
            if (_posted || _count == 0) return;
            _posted = true;
        }
        link.Ring.AwaitTurn(this);
    }

    public void Close()
    {
        lock (_gate) _closed = true;
    }

    void IRingCommand.Run(Ring ring)
    {
        lock (_gate) _posted = false;
        ring.Deliver(link);
    }

    void IRingCommand.Refuse(Ring ring, int result) => Close();
}
