using System.ComponentModel;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Cli;

/// <summary>The functions that bpf_conformance's programs call: the built-in ones, but helper 5 gives back its first argument.</summary>
/// <remarks>Public because compiled code calls into it.</remarks>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class ConformanceFunctions
{
    private const int EchoId = 5;

    internal static FunctionRegistry Registry { get; } = new(
    [
        .. FunctionRegistry.BuiltIn.Prototypes.All.Where(function => function.Kind != FunctionKind.Helper || function.Id != EchoId)
            .Select(function => FunctionRegistry.BuiltIn.Find(function)!),
        new(new FunctionPrototype { Name = "echo", Id = EchoId, Kind = FunctionKind.Helper, Arguments = [new("value", ArgumentKind.Scalar)], Returns = ReturnKind.Scalar },
            typeof(ConformanceFunctions).GetMethod(nameof(Echo))!, Arity: 1, TakesState: false),
    ]);

    /// <summary>Gives back its argument.</summary>
    public static ulong Echo(ulong value) => value;
}
