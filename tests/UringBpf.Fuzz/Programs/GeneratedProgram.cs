using System.Text;
using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>A random program.</summary>
/// <param name="Spec">The program; its maps are <see cref="Scenery.Maps"/>.</param>
/// <param name="ContextSize">Bytes of flat context it is verified for and run on; 0 for types with a context struct.</param>
/// <param name="ForKernel">True when it keeps to what the kernel has too.</param>
public sealed record GeneratedProgram(ProgramSpec Spec, int ContextSize, bool ForKernel)
{
    /// <summary>The program in assembly, one instruction a line.</summary>
    public string Listing()
    {
        var text = new StringBuilder($"type {Spec.Type!.Name}, context {ContextSize} bytes");
        foreach (var function in Spec.Subprograms) text.Append($", {(function.IsGlobal ? Spec.Types.Format(function.TypeId) : function.Name)} at {function.Start}");
        text.Append('\n');
        var code = Spec.Instructions;
        for (var slot = 0; slot < code.Length; slot++)
        {
            text.AppendLine($"{slot,4}: {Disassembler.Format(code[slot], slot + 1 < code.Length ? code[slot + 1] : default)}");
            if (code[slot].IsWide) slot++;
        }
        return text.ToString();
    }
}
