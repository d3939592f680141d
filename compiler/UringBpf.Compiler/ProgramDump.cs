using System.Diagnostics.CodeAnalysis;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>
/// Shows what the compiler makes of a program. The IL dump has no addresses in it: the same program and options always give
/// the same text.
/// </summary>
public static class ProgramDump
{
    /// <summary>The IL, with each BPF instruction above its IL and the source line above that.</summary>
    /// <param name="program">What the verifier accepted.</param>
    /// <param name="options">null for <see cref="CompilerOptions.Default"/>.</param>
    /// <exception cref="BpfException">As for <see cref="ProgramCompiler.Compile"/>.</exception>
    public static string Il(VerifiedProgram program, CompilerOptions? options = null) => TextDump.Il(Listing.OfIl(program, options));

    /// <summary>The machine code RyuJIT makes, decoded, with the BPF instruction each part belongs to where it can be told,
    /// helpers and maps by name, and the code's size. Compiles the program anew.</summary>
    /// <param name="program">What the verifier accepted.</param>
    /// <param name="maps">The maps its instructions name.</param>
    /// <param name="options">null for <see cref="CompilerOptions.Default"/>.</param>
    /// <exception cref="BpfException">UB3003 when the runtime does not say where the code is, or the processor is not x86-64.</exception>
    [RequiresDynamicCode("Compiles at run time.")]
    public static string MachineCode(VerifiedProgram program, MapSet maps, CompilerOptions? options = null) =>
        TextDump.MachineCode(Listing.OfMachineCode(program, maps, options));

    /// <summary>Source and bytecode, IL and machine code side by side.</summary>
    /// <inheritdoc cref="MachineCode"/>
    [RequiresDynamicCode("Compiles at run time.")]
    public static string All(VerifiedProgram program, MapSet maps, CompilerOptions? options = null) =>
        TextDump.All(Listing.OfMachineCode(program, maps, options));

    /// <summary>One self-contained page: source, bytecode, IL and machine code in columns; what belongs together lights up
    /// under the pointer. Light and dark.</summary>
    /// <inheritdoc cref="MachineCode"/>
    [RequiresDynamicCode("Compiles at run time.")]
    public static string Html(VerifiedProgram program, MapSet maps, CompilerOptions? options = null) =>
        HtmlDump.Format(Listing.OfMachineCode(program, maps, options));
}
