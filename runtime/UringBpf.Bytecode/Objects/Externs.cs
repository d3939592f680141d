namespace UringBpf.Bytecode;

/// <summary>Resolves what an object uses but does not define: kfuncs (<c>__ksym</c>) and kernel configuration (<c>__kconfig</c>).</summary>
internal sealed class Externs(LoadOptions options, KernelConfiguration configuration, BtfSpec btf)
{
    // The names under which compilers call their run-time libraries.
    private static readonly HashSet<string> s_compilerLibrary = ["memset", "memcpy", "memmove", "memcmp", "bcmp", "strlen", "abort"];

    private readonly HashSet<FunctionPrototype> _checked = [];
    // By symbol: any number of calls may name one, and its name may be long.
    private readonly Dictionary<int, FunctionPrototype?> _kfuncs = [];
    // Objects, for which .NET has a dictionary's code made ahead of time.
    private readonly Dictionary<int, Variable?> _variables = [];

    private sealed record Variable(MapSpec Map, int Offset);

    /// <summary>A load of an extern's address.</summary>
    public Fixup Load(ObjectFunction function, int slot, ElfSymbol symbol)
    {
        if (!_variables.TryGetValue(symbol.Index, out var variable))
        {
            variable = configuration.Find(symbol) is (var map, var offset) ? new Variable(map, offset) : null;
            _variables.Add(symbol.Index, variable);
        }
        if (variable is not null) return new Fixup.OfMapValue(slot, variable.Map, variable.Offset);
        // The address of a kfunc only says whether it exists: `if (uring_emit) …`.
        if (Kfunc(symbol) is not null) return new Fixup.OfNumber(slot, 1);
        if (symbol.Binding == ElfBinding.Weak) return new Fixup.OfNumber(slot, 0);
        throw Unresolved(function, slot, symbol, "kernel variables do not exist here");
    }

    /// <summary>A call of an extern.</summary>
    public Fixup Call(ObjectFunction function, int slot, ElfSymbol symbol)
    {
        if (Kfunc(symbol) is { } kfunc) return new Fixup.OfKfunc(slot, kfunc);
        if (symbol.Binding == ElfBinding.Weak) return new Fixup.OfPoison(slot, $"it calls the weak extern '{StringTable.Shorten(symbol.Name)}', which does not exist here");
        if (s_compilerLibrary.Contains(symbol.Name) || symbol.Name.StartsWith("__", StringComparison.Ordinal))
        {
            throw new BpfException("UB1321", $"{function.Describe(slot)}: it calls '{symbol.Name}', a function of the compiler's run-time library, which BPF does not have. "
                + $"Use __builtin_{symbol.Name.TrimStart('_')} with a constant size, or smaller objects.", slot);
        }
        if (IsRustCore(symbol.Name))
        {
            throw new BpfException("UB1321", $"{function.Describe(slot)}: it calls '{StringTable.Shorten(symbol.Name)}' of Rust's core library, of which an object has only what is inlined. "
                + "Most such calls are panics: use what can't panic, as get() in place of an index.", slot);
        }
        throw Unresolved(function, slot, symbol, "no kfunc has this name");
    }

    private FunctionPrototype? Kfunc(ElfSymbol symbol)
    {
        if (_kfuncs.TryGetValue(symbol.Index, out var function)) return function;
        _kfuncs.Add(symbol.Index, function = options.Functions.Kfunc(symbol.Name));
        if (function is not null && _checked.Add(function)) KfuncTypes.Check(btf, function);
        return function;
    }

    // A name of crate `core`, in either of rustc's manglings.
    private static bool IsRustCore(string name) =>
        (name.StartsWith("_R", StringComparison.Ordinal) || name.StartsWith("_ZN", StringComparison.Ordinal)) && name.Contains("4core", StringComparison.Ordinal);

    private static BpfException Unresolved(ObjectFunction function, int slot, ElfSymbol symbol, string why) =>
        new("UB1320", $"{function.Describe(slot)}: the extern '{symbol.Name}' can't be resolved: {why}. Declare it weak if the program can do without.", slot);
}
