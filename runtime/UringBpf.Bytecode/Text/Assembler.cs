using System.Collections.Immutable;
using System.Text.RegularExpressions;

namespace UringBpf.Bytecode;

/// <summary>
/// Reads BPF assembler: what <see cref="Disassembler"/> and llvm-objdump print, with labels, comments, decimal or
/// hexadecimal numbers, and names of functions and maps. One instruction a line:
/// <code>
/// entry:
///     r0 = 0
///     if r2 &lt; 8 goto done       ; a label, or a distance such as +0x1
///     r0 = *(u64 *)(r1 + 0)
///     call bpf_ktime_get_ns      // a label of the text, else a helper, else a kfunc
/// done:
///     exit
/// </code>
/// </summary>
public static partial class Assembler
{
    /// <summary>Errors after which reading stops.</summary>
    public const int MaxErrors = 20;

    /// <summary>Assembles text.</summary>
    /// <param name="text">The text. Lines end with LF or CR LF; a byte order mark may come first.</param>
    /// <param name="maps">The maps that can be named; their place in the list is their index.</param>
    /// <param name="functions">The functions that can be called by name; null for the built-in ones.</param>
    /// <returns>The slots. Whether they make a well-formed program, <see cref="BytecodeChecker"/> says.</returns>
    /// <exception cref="AssemblerException">UB1120 to UB1125: with line and column of every error found.</exception>
    public static ImmutableArray<Instruction> Assemble(string text, IReadOnlyList<MapSpec>? maps = null, PrototypeTable? functions = null)
    {
        ArgumentNullException.ThrowIfNull(text);
        // Some editors begin a file with a byte order mark.
        text = text.TrimStart('\ufeff');
        var code = new CodeBuffer();
        var names = new AssemblerNames(maps ?? [], functions ?? PrototypeTable.BuiltIn, Labels(text));
        var errors = ImmutableArray.CreateBuilder<AssemblerError>();
        var number = 0;
        foreach (var line in text.AsSpan().EnumerateLines())
        {
            number++;
            code.Line = number;
            try
            {
                ReadLine(line, code, names);
            }
            catch (SyntaxException error)
            {
                errors.Add(new AssemblerError(error.Code, number, error.Column, error.Message));
                if (errors.Count == MaxErrors) break;
            }
        }
        foreach (var (use, error) in code.Resolve())
        {
            if (errors.Count < MaxErrors) errors.Add(new AssemblerError(error.Code, use.Line, use.Column, error.Reason));
        }
        if (errors.Count > 0) throw new AssemblerException([.. errors.OrderBy(error => error.Line)]);
        return code.ToImmutable();
    }

    private static void ReadLine(ReadOnlySpan<char> line, CodeBuffer code, AssemblerNames names)
    {
        var start = ListingPrefix(line);
        var scanner = new LineScanner(line);
        if (start > 0) scanner.Return(start);
        while (scanner.Kind == TokenKind.Word && LabelName(line[scanner.Start..]) is { } label)
        {
            if (!code.Define(label)) throw new SyntaxException("UB1123", scanner.Column, $"label '{label}' is defined twice.");
            scanner.Advance();
            scanner.Expect(":");
        }
        if (scanner.Kind == TokenKind.End) return;
        InstructionParser.Parse(ref scanner, code, names);
        if (scanner.Kind != TokenKind.End) throw scanner.Unexpected("the end of the line");
    }

    // A listing's slot number, and its bytes, which are followed by a tab.
    private static int ListingPrefix(ReadOnlySpan<char> line)
    {
        foreach (var match in Prefix().EnumerateMatches(line)) return match.Length;
        return 0;
    }

    private static string? LabelName(ReadOnlySpan<char> rest)
    {
        foreach (var match in Label().EnumerateMatches(rest)) return rest[..match.Length].TrimEnd(':').TrimEnd().ToString();
        return null;
    }

    // Calls of labels further down look like calls of functions, so labels are collected first.
    private static HashSet<string> Labels(string text)
    {
        var labels = new HashSet<string>();
        foreach (var line in text.AsSpan().EnumerateLines())
        {
            var rest = line[ListingPrefix(line)..].TrimStart();
            while (LabelName(rest) is { } label)
            {
                labels.Add(label);
                rest = rest[(rest.IndexOf(':') + 1)..].TrimStart();
            }
        }
        return labels;
    }

    [GeneratedRegex(@"\A\s*[0-9]+:(\s+([0-9a-f]{2} ){8}(([0-9a-f]{2} ){8})?\s)?")]
    private static partial Regex Prefix();

    [GeneratedRegex(@"\A[A-Za-z_.$][A-Za-z0-9_.$]*\s*:")]
    private static partial Regex Label();
}

/// <summary>What names in a text may mean.</summary>
internal sealed record AssemblerNames(IReadOnlyList<MapSpec> Maps, PrototypeTable Functions, HashSet<string> Labels);
