namespace UringBpf.Bytecode;

/// <summary>
/// How long the types of one object may be compared with the target's. Types are graphs: a few that hold one another several times
/// each can be walked in more ways than there is time for.
/// </summary>
internal sealed class CoreBudget
{
    // Thousands of relocations against the kernel's largest structs take a few million.
    private const int MaxSteps = 20_000_000;
    // Characters compared in the time of a step.
    private const int CharactersPerStep = 64;

    private int _left = MaxSteps;

    /// <summary>Takes a step.</summary>
    /// <exception cref="BpfException">UB1226 when there are none left.</exception>
    public void Spend(int steps = 1)
    {
        _left -= steps;
        if (_left < 0)
            throw new BpfException("UB1226", "the CO-RE relocations take too long: the types they name hold one another in too many ways.");
    }

    /// <summary>Compares two names without their flavours.</summary>
    /// <exception cref="BpfException">UB1226.</exception>
    public bool IsSameName(string local, string target)
    {
        Spend(1 + local.Length / CharactersPerStep + target.Length / CharactersPerStep);
        return CoreTypes.Essential(local).SequenceEqual(CoreTypes.Essential(target));
    }
}
