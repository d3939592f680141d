using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>A function's BTF type: <c>struct bpf_func_info</c>.</summary>
/// <param name="Offset">Byte offset of its first instruction in the section.</param>
/// <param name="TypeId">Its BTF FUNC.</param>
internal sealed record FunctionInfoRecord(uint Offset, int TypeId);

/// <summary>A source line: <c>struct bpf_line_info</c>.</summary>
/// <param name="Offset">Byte offset of the first instruction it holds for.</param>
/// <param name="File">The file's name.</param>
/// <param name="Line">From 1.</param>
/// <param name="Column">From 1; 0 when unknown.</param>
/// <param name="Text">The source line.</param>
internal sealed record LineInfoRecord(uint Offset, string File, int Line, int Column, string Text);

/// <summary>A CO-RE relocation: <c>struct bpf_core_relo</c>.</summary>
/// <param name="Offset">Byte offset of the instruction it patches.</param>
/// <param name="TypeId">The local root type.</param>
/// <param name="Access">The access string, such as <c>0:1:2</c>.</param>
/// <param name="Kind">What is asked for: <c>enum bpf_core_relo_kind</c>.</param>
internal sealed record CoreRelocationRecord(uint Offset, int TypeId, string Access, uint Kind);

/// <summary>The contents of .BTF.ext, by section name.</summary>
internal sealed class BtfExtension
{
    /// <summary>What an object without .BTF.ext has.</summary>
    public static BtfExtension Empty { get; } = new();

    public NameMap<List<FunctionInfoRecord>> Functions { get; } = new();
    public NameMap<List<LineInfoRecord>> Lines { get; } = new();
    public NameMap<List<CoreRelocationRecord>> Relocations { get; } = new();
}
