using System.Reflection;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>
/// The built-in functions, with printing that prints nothing: for runs that only try something out. A program that calls a
/// host's own functions can't be prepared with these, so it is never tried.
/// </summary>
internal static unsafe class SilentFunctions
{
    public static FunctionRegistry All { get; } = new(FunctionRegistry.BuiltIn.Prototypes.All.Select(Silence));

    private static FunctionImplementation Silence(FunctionPrototype prototype)
    {
        var function = FunctionRegistry.BuiltIn.Find(prototype)!;
        return prototype.Name switch
        {
            "bpf_trace_printk" => Method(nameof(TracePrint)),
            "bpf_trace_vprintk" => Method(nameof(TracePrintArray)),
            _ => function,
        };

        FunctionImplementation Method(string name) =>
            new(prototype, typeof(SilentFunctions).GetMethod(name, BindingFlags.Static | BindingFlags.NonPublic)!, function.Arity, function.TakesState);
    }

#pragma warning disable IDE0060 // The helpers' own parameters.
    private static ulong TracePrint(ulong format, ulong formatSize, ulong first, ulong second, ulong third, ExecutionState* state) => formatSize;

    private static ulong TracePrintArray(ulong format, ulong formatSize, ulong data, ulong dataBytes, ExecutionState* state) => formatSize;
#pragma warning restore IDE0060
}
