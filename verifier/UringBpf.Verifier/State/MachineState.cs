using System.Text;

namespace UringBpf.Verifier;

/// <summary>
/// Everything known at one point of one path. Mutable while it is walked; copies share frames until written.
/// </summary>
internal sealed class MachineState
{
    private readonly List<Frame> _frames;

    public MachineState() => _frames = [];

    private MachineState(MachineState other)
    {
        foreach (var frame in other._frames) frame.IsShared = true;
        _frames = [.. other._frames];
        References = other.References;
        LockId = other.LockId;
        LockMap = other.LockMap;
        BufferRange = other.BufferRange;
    }

    /// <summary>References that must be released before the program ends, in the order they were acquired. Never written in place.</summary>
    public int[] References { get; set; } = [];

    /// <summary>Identity of the map value whose lock is held, or 0.</summary>
    public int LockId { get; set; }

    public Bytecode.MapSpec? LockMap { get; set; }

    /// <summary>Bytes from data that are known to lie before data_end.</summary>
    public long BufferRange { get; set; }

    public int Depth => _frames.Count;

    /// <summary>The running function's frame, for reading.</summary>
    public Frame Top => _frames[^1];

    public bool HoldsResource => LockId != 0 || References.Length > 0;

    public Frame this[int frame] => _frames[frame];

    public MachineState Copy() => new(this);

    public void Push(Frame frame) => _frames.Add(frame);

    public void Pop() => _frames.RemoveAt(_frames.Count - 1);

    /// <summary>A frame, for writing.</summary>
    public Frame Writable(int frame)
    {
        var current = _frames[frame];
        if (!current.IsShared) return current;
        return _frames[frame] = current.Copy();
    }

    public Value? Register(int register) => _frames[^1][register];

    public void Set(int register, Value? value)
    {
        if (ReferenceEquals(_frames[^1][register], value)) return;
        Writable(_frames.Count - 1)[register] = value;
    }

    /// <summary>Replaces every value, in registers and stack cells of all frames, for which <paramref name="change"/> gives another.</summary>
    public void Rewrite(Func<Value, Value?> change)
    {
        for (var index = 0; index < _frames.Count; index++)
        {
            for (var register = 0; register < Frame.Registers; register++)
            {
                if (_frames[index][register] is not { } value) continue;
                var changed = change(value);
                if (!ReferenceEquals(changed, value)) Writable(index)[register] = changed;
            }
            for (var slot = 0; slot < _frames[index].UsedSlots; slot++)
            {
                if (_frames[index].Slot(slot) is not { Low: { } } and not { High: { } }) continue;
                var cell = _frames[index].Slot(slot)!;
                var low = cell.Low is null ? null : change(cell.Low);
                var high = cell.High is null ? null : change(cell.High);
                if (ReferenceEquals(low, cell.Low) && ReferenceEquals(high, cell.High)) continue;
                // A pointer that is gone leaves nothing that may be read.
                Writable(index).SetSlot(slot, cell.HoldsPointer && low is null ? null : cell.With(low, high));
            }
        }
    }

    /// <summary>Passes on what was learnt of one value to all that hang on the same unknown. False when the state turns out to be impossible.</summary>
    public bool NarrowLinked(Value known)
    {
        // Of a number with a scale, only those that are whole unknowns remain: another scale tells.
        return NarrowLinked(known, out var scaled) && (scaled is null || NarrowLinked(scaled, out _));
    }

    private bool NarrowLinked(Value known, out Value? scaled)
    {
        var possible = true;
        var link = known.Link;
        Value? other = null;
        Rewrite(value =>
        {
            if (ReferenceEquals(value, known) || value.Kind == ValueKind.Iterator || value.Link is var hung && hung.Id != link.Id) return value;
            var number = Scalar.Intersect(value.Number, link.Implies(known.Number, hung));
            if (number.IsEmpty) possible = false;
            var narrowed = number.Equals(value.Number) ? value : value with { Number = number };
            if (hung.Scale != link.Scale) other = narrowed;
            return narrowed;
        });
        scaled = other;
        return possible;
    }

    public override string ToString()
    {
        var text = new StringBuilder();
        for (var index = 0; index < Depth; index++)
        {
            if (index > 0) text.Append(" | ");
            for (var register = 0; register < Frame.Pointer; register++)
            {
                if (_frames[index][register] is { } value) text.Append($"r{register}={value} ");
            }
            for (var slot = 0; slot < _frames[index].UsedSlots; slot++)
            {
                if (_frames[index].Slot(slot) is { } cell) text.Append($"fp{-8 * (slot + 1)}={cell} ");
            }
        }
        return text.ToString().TrimEnd();
    }
}
