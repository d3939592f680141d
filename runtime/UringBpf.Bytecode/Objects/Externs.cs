namespace UringBpf.Bytecode;

/// <summary>Resolves what an object uses but does not define: kfuncs (<c>__ksym</c>) and kernel configuration (<c>__kconfig</c>).</summary>
internal sealed class Externs(LoadOptions options, KernelConfiguration configuration, BtfSpec btf)
{
    // The names under which compilers call their run-time libraries.
    private static readonly HashSet<string> s_compilerLibrary = ["memset", "memcpy", "memmove", "memcmp", "bcmp", "strlen", "abort"];

    /// <summary>A load of an extern's address.</summary>
    public Fixup Load(int slot, ElfSymbol symbol, string where)
    {
        if (configuration.Find(symbol) is { } variable) return new Fixup.OfMapValue(slot, variable.Map, variable.Offset);
        // The address of a kfunc only says whether it exists: `if (uring_emit) …`.
        if (options.Functions.Kfunc(symbol.Name) is { } function)
        {
            KfuncTypes.Check(btf, function);
            return new Fixup.OfNumber(slot, 1);
        }
        if (symbol.Binding == ElfBinding.Weak) return new Fixup.OfNumber(slot, 0);
        throw Unresolved(symbol, where, "kernel variables do not exist here");
    }

    /// <summary>A call of an extern.</summary>
    public Fixup Call(int slot, ElfSymbol symbol, string where)
    {
        if (options.Functions.Kfunc(symbol.Name) is { } function)
        {
            KfuncTypes.Check(btf, function);
            return new Fixup.OfKfunc(slot, function);
        }
        if (symbol.Binding == ElfBinding.Weak) return new Fixup.OfPoison(slot, $"it calls the weak extern '{symbol.Name}', which does not exist here");
        if (s_compilerLibrary.Contains(symbol.Name) || symbol.Name.StartsWith("__", StringComparison.Ordinal))
        {
            throw new BpfException("UB1321", $"{where}: it calls '{symbol.Name}', a function of the compiler's run-time library, which BPF does not have. "
                + $"Use __builtin_{symbol.Name.TrimStart('_')} with a constant size, or smaller objects.");
        }
        throw Unresolved(symbol, where, "no kfunc has this name");
    }

    private static BpfException Unresolved(ElfSymbol symbol, string where, string why) =>
        new("UB1320", $"{where}: the extern '{symbol.Name}' can't be resolved: {why}. Declare it weak if the program can do without.");
}
