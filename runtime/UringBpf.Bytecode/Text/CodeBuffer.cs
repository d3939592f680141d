using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>Code under construction: slots, labels, and the places that name labels not yet known. Shared by <see cref="Assembler"/> and <see cref="ProgramBuilder"/>.</summary>
internal sealed class CodeBuffer
{
    private readonly List<Instruction> _slots = [];
    private readonly Dictionary<string, int> _labels = [];
    private readonly List<LabelUse> _uses = [];

    /// <summary>An instruction whose offset or immediate is the distance to a label.</summary>
    public readonly record struct LabelUse(int Slot, string Label, bool InImmediate, int Line, int Column);

    /// <summary>The line of text being read; 0 without text.</summary>
    public int Line { get; set; }

    public int Count => _slots.Count;

    public IReadOnlyDictionary<string, int> Labels => _labels;

    public void Add(Instruction instruction) => _slots.Add(instruction);

    public void AddWide(WideKind kind, int destination, int low, int high)
    {
        _slots.Add(OpcodeTable.WideImmediate(kind).Encode(destination, immediate: low));
        _slots.Add(new Instruction(0, immediate: high));
    }

    /// <summary>Says that the slot added next refers to a label, in its immediate or its offset.</summary>
    public void Refer(string label, bool inImmediate, int column = 0) => _uses.Add(new LabelUse(_slots.Count, label, inImmediate, Line, column));

    /// <summary>Puts a label at the next slot; false when it exists.</summary>
    public bool Define(string label) => _labels.TryAdd(label, _slots.Count);

    /// <summary>Fills in every distance; gives what can't be.</summary>
    public List<(LabelUse Use, BpfException Error)> Resolve()
    {
        var errors = new List<(LabelUse, BpfException)>();
        foreach (var use in _uses)
        {
            if (!_labels.TryGetValue(use.Label, out var target))
            {
                errors.Add((use, new BpfException("UB1122", $"there is no label '{use.Label}'.", use.Slot)));
                continue;
            }
            var distance = target - use.Slot - 1;
            if (!use.InImmediate && distance != (short)distance)
            {
                errors.Add((use, new BpfException("UB1125", $"label '{use.Label}' is {distance} slots away, a jump reaches -32768..32767; use gotol.", use.Slot)));
                continue;
            }
            _slots[use.Slot] = use.InImmediate ? _slots[use.Slot].WithImmediate(distance) : _slots[use.Slot].WithOffset((short)distance);
        }
        return errors;
    }

    public ImmutableArray<Instruction> ToImmutable() => [.. _slots];
}
