using UringBpf.Verifier;

namespace UringBpf.Fuzz;

/// <summary>The states that the verifier walked, by instruction: those its verdict rests on.</summary>
internal sealed class WalkedStates : WalkObserver
{
    // Programs that are walked longer cost more than they are worth.
    private const int MaxStates = 30_000, MaxSlots = 1024;

    private readonly List<MachineState>?[] _walked = new List<MachineState>?[MaxSlots];
    private List<MachineState>?[] _adopted = [];
    private int _count;

    /// <summary>True when the walk was too long to be kept.</summary>
    public bool TooLong { get; private set; }

    public override void Begin()
    {
        Array.Clear(_walked);
        _count = 0;
        TooLong = false;
    }

    public override void Before(int slot, MachineState state)
    {
        if (slot >= MaxSlots || ++_count > MaxStates)
        {
            TooLong = true;
            return;
        }
        (_walked[slot] ??= []).Add(state.Copy());
    }

    public override void Adopt() => _adopted = (List<MachineState>?[])_walked.Clone();

    /// <summary>Forgets everything: another program is verified.</summary>
    public void Reset()
    {
        _adopted = [];
        Begin();
    }

    /// <summary>The states at an instruction; empty where none was walked.</summary>
    public IReadOnlyList<MachineState> At(int slot) => slot < _adopted.Length ? _adopted[slot] ?? [] : [];
}
