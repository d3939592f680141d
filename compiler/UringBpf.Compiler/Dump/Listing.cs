using System.Globalization;
using System.Reflection;
using System.Reflection.Emit;
using UringBpf.Bytecode;
using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>One BPF instruction at every level.</summary>
/// <param name="Slot">Its slot; -1 for what comes before the first.</param>
/// <param name="Line">The source line that starts here, or null.</param>
/// <param name="Bpf">Its disassembly.</param>
internal sealed record ListingRow(int Slot, LineInfo? Line, string Bpf)
{
    public List<string> Il { get; } = [];
    public List<string> Machine { get; } = [];
}

/// <summary>One generated method.</summary>
/// <param name="Name">Its name.</param>
/// <param name="CodeBytes">Bytes of machine code; 0 when only IL was asked for.</param>
/// <param name="Rows">Its instructions.</param>
internal sealed record ListingMethod(string Name, int CodeBytes, IReadOnlyList<ListingRow> Rows);

/// <summary>A program at every level, ready to be laid out.</summary>
internal sealed record Listing(string Program, string Type, IReadOnlyList<ListingMethod> Methods)
{
    private static int s_count;

    /// <summary>Source, bytecode and IL.</summary>
    public static Listing OfIl(VerifiedProgram program, CompilerOptions? options)
    {
        options ??= CompilerOptions.Default;
        var graph = new ProgramGraph(program, options.Functions ?? FunctionRegistry.BuiltIn, options);
        var code = RecordedCode.Create(graph, options);
        return new Listing(program.Spec.Name, program.Type.Name, [.. code.Methods.Select(method => new ListingMethod(method.Name, 0, Rows(graph, method.Code)))]);
    }

    /// <summary>Source, bytecode, IL and machine code.</summary>
    public static Listing OfMachineCode(VerifiedProgram program, MapSet maps, CompilerOptions? options)
    {
        options ??= CompilerOptions.Default;
        var graph = new ProgramGraph(program, options.Functions ?? FunctionRegistry.BuiltIn, options);
        var recorded = RecordedCode.Create(graph, options);
        using var listener = new MethodCodeListener();
        using var compiled = new CompiledProgram(program, maps, options, $"#{Interlocked.Increment(ref s_count)}");
        var code = compiled.Code;
        var symbols = new SymbolTable(program, maps, recorded, code);
        var methods = new List<ListingMethod>();
        foreach (var method in recorded.Methods)
        {
            var bytes = listener.Wait(code.Methods[method.Key])
                ?? throw new BpfException("UB3003", $"{program.Spec.Name}: the runtime did not report the code of {method.Name} (event tracing may be disabled).");
            var rows = Rows(graph, method.Code);
            MachineCode.Annotate(rows, graph, bytes, code.Address(method.Key), method.Parameters, symbols);
            methods.Add(new ListingMethod(method.Name, bytes.Length, rows));
        }
        return new Listing(program.Spec.Name, program.Type.Name, methods);
    }

    private static List<ListingRow> Rows(ProgramGraph graph, RecordingGenerator code)
    {
        var spec = graph.Verified.Spec;
        var rows = new List<ListingRow>();
        LineInfo? last = null;
        ListingRow? row = null;
        foreach (var item in code.Instructions)
        {
            if (row is null || row.Slot != item.Slot)
            {
                var line = item.Slot >= 0 ? spec.LineOf(item.Slot) : null;
                // Several places of one line are one line of text.
                row = new ListingRow(item.Slot, (line?.File, line?.Line) == (last?.File, last?.Line) ? null : line, item.Slot >= 0 ? Bytecode(graph, item.Slot) : "");
                rows.Add(row);
                if (item.Slot >= 0) last = line;
            }
            row.Il.Add(item.Label >= 0 ? $"L{item.Label}:" : $"{item.OpCode.Name,-10} {Operand(item.Operand)}".TrimEnd());
        }
        return rows;
    }

    private static string Bytecode(ProgramGraph graph, int slot)
    {
        var spec = graph.Verified.Spec;
        var text = Disassembler.Format(spec.Instructions[slot], spec.Instructions[slot].IsWide ? spec.Instructions[slot + 1] : default);
        return Disassembler.Comment(spec, slot) is { } comment ? $"{text}  # {comment}" : text;
    }

    private static string Operand(object? operand) => operand switch
    {
        null => "",
        Label label => $"L{label.Id}",
        Label[] labels => string.Join(", ", labels.Select(label => $"L{label.Id}")),
        MethodInfo method => $"{method.DeclaringType?.Name}.{method.Name}",
        FieldInfo field => $"{field.DeclaringType?.Name}.{field.Name}",
        int or long => Convert.ToInt64(operand, CultureInfo.InvariantCulture) is var value && value is >= -65536 and <= 65536
            ? value.ToString(CultureInfo.InvariantCulture)
            : $"0x{value:x}",
        _ => operand.ToString() ?? "",
    };
}
