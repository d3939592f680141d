using UringBpf.Verifier;

namespace UringBpf.Fuzz;

/// <summary>The states that the verifier walked, by function and instruction: those its verdict rests on.</summary>
internal sealed class WalkedStates : WalkObserver
{
    /// <summary>Slots of the longest program that is followed.</summary>
    public const int MaxSlots = 4096;

    // Programs that are walked longer cost more than they are worth.
    private const int MaxStates = 30_000;

    private readonly Dictionary<int, List<MachineState>?[]> _walked = [];
    private readonly Dictionary<int, List<MachineState>?[]> _adopted = [];
    private readonly Dictionary<int, int> _counts = [];

    /// <summary>True when a walk was too long to be kept.</summary>
    public bool TooLong => _counts.Values.Any(count => count > MaxStates);

    public override void Begin(int function)
    {
        if (_walked.TryGetValue(function, out var known)) Array.Clear(known);
        else _walked[function] = new List<MachineState>?[MaxSlots];
        _counts[function] = 0;
    }

    public override void Before(int function, int slot, MachineState state)
    {
        if (slot >= MaxSlots) _counts[function] = MaxStates;
        if (++_counts[function] <= MaxStates) (_walked[function][slot] ??= []).Add(state.Copy());
    }

    public override void Adopt(int function) => _adopted[function] = (List<MachineState>?[])_walked[function].Clone();

    /// <summary>Forgets everything: another program is verified.</summary>
    public void Reset()
    {
        _walked.Clear();
        _adopted.Clear();
        _counts.Clear();
    }

    /// <summary>The states at an instruction; empty where none was walked.</summary>
    /// <param name="slot">The instruction.</param>
    /// <param name="function">The function that was verified: the program itself, or a global one, which may have called the instruction's.</param>
    public IReadOnlyList<MachineState> At(int slot, int function = 0) =>
        _adopted.TryGetValue(function, out var adopted) && slot < MaxSlots ? adopted[slot] ?? [] : [];
}
