using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>The functions a program may call: found by number or by symbol name. Immutable and thread-safe.</summary>
public sealed class PrototypeTable
{
    private readonly Dictionary<int, FunctionPrototype> _helpers = [];
    private readonly Dictionary<int, FunctionPrototype> _kfuncs = [];
    private readonly Dictionary<string, FunctionPrototype> _kfuncsByName = [];

    /// <summary>Makes a table.</summary>
    /// <exception cref="ArgumentException">Two helpers or two kfuncs share a number or a name.</exception>
    public PrototypeTable(IEnumerable<FunctionPrototype> functions)
    {
        All = [.. functions];
        foreach (var function in All)
        {
            (function.Kind == FunctionKind.Helper ? _helpers : _kfuncs).Add(function.Id, function);
            if (function.Kind == FunctionKind.Kfunc) _kfuncsByName.Add(function.Name, function);
        }
    }

    /// <summary>The built-in helpers and kfuncs.</summary>
    public static PrototypeTable BuiltIn { get; } = new([.. HelperPrototypes.All, .. KfuncPrototypes.All]);

    /// <summary>Every function, in the order given.</summary>
    public ImmutableArray<FunctionPrototype> All { get; }

    /// <summary>The helper with this number, or null.</summary>
    public FunctionPrototype? Helper(int id) => _helpers.TryGetValue(id, out var function) ? function : null;

    /// <summary>The kfunc with this number, or null.</summary>
    public FunctionPrototype? Kfunc(int id) => _kfuncs.TryGetValue(id, out var function) ? function : null;

    /// <summary>The kfunc with this symbol name, or null.</summary>
    public FunctionPrototype? Kfunc(string name) => _kfuncsByName.GetValueOrDefault(name);

    /// <summary>The function a call instruction names, or null when the table lacks it or the call is of another kind.</summary>
    public FunctionPrototype? Find(OpcodeRow row, in Instruction call) => row.Operation switch
    {
        Operation.CallHelper => Helper(call.Immediate),
        Operation.CallKfunc => Kfunc(call.Immediate),
        _ => null,
    };
}
