using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using UringBpf.Bytecode;

namespace UringBpf.Ring;

/// <summary>Events in words, as both writers show them.</summary>
internal static class TraceText
{
    /// <summary>The operation's name as liburing spells it.</summary>
    public static string Name(IoUringOp opcode) => opcode == IoUringOp.OpenAt2 ? "openat" : opcode.ToString().ToLowerInvariant();

    /// <summary>A result: a number, or -ENAME.</summary>
    public static string Result(int result) => result < 0 ? $"-{Errno.Name(-result)}" : result.ToString(CultureInfo.InvariantCulture);

    /// <summary>A verdict.</summary>
    public static string Verdict(int verdict) => verdict switch { 0 => "pass", 1 => "continue", _ => Result(verdict) };

    /// <summary>A place in the source.</summary>
    public static string Place(LineInfo line) => $"{(line.File.StartsWith("./", StringComparison.Ordinal) ? line.File[2..] : line.File)}:{line.Line}";

    /// <summary>What an operation was asked to do.</summary>
    public static string Operation(in TraceEvent entry)
    {
        var (opcode, file, offset, length, buffer) = ((IoUringOp)entry.Code, entry.Result, entry.A, (uint)entry.B, entry.B >> 32);
        var name = Name(opcode);
        var where = entry.Chain == 0 ? $"fd {file}" : $"file {file}";
        var at = offset == ulong.MaxValue ? "the current offset" : offset.ToString(CultureInfo.InvariantCulture);
        return opcode switch
        {
            IoUringOp.Nop => name,
            IoUringOp.Timeout => $"{name} {Duration(offset)}",
            IoUringOp.Read => entry.Chain == 0 ? $"{name} {where}, {length} bytes at {at}" : $"{name} {where} into buffer {buffer}, {length} bytes at {at}",
            IoUringOp.Write => entry.Chain == 0 ? $"{name} {where}, {length} bytes at {at}" : $"{name} {where} from buffer {buffer}, {length} bytes at {at}",
            IoUringOp.Recv => $"{name} {where} into buffer {buffer}, {length} bytes",
            IoUringOp.Send => $"{name} {where} from buffer {buffer}, {length} bytes",
            IoUringOp.OpenAt2 or IoUringOp.OpenAt or IoUringOp.Accept when entry.Chain != 0 => $"{name} to file {file}",
            IoUringOp.OpenAt or IoUringOp.OpenAt2 or IoUringOp.StatX => name,
            _ => file < 0 ? name : $"{name} {where}",
        };
    }

    /// <summary>An operation with a path of its own: behind its name, a second one after it.</summary>
    public static string WithPath(string operation, in TraceEvent entry)
    {
        var cut = (entry.Code & TraceEvent.PathIsCut) != 0;
        var bytes = MemoryMarshal.AsBytes(new ReadOnlySpan<TraceEvent>(in entry)).Slice(TraceEvent.PathOffset, entry.Code & ~TraceEvent.PathIsCut);
        // Not from the middle of a character.
        while (cut && !bytes.IsEmpty && (bytes[0] & 0xC0) == 0x80) bytes = bytes[1..];
        var path = $"\"{(cut ? "…" : "")}{Encoding.UTF8.GetString(bytes)}\"";
        var after = operation.LastIndexOf('"') + 1;
        if (after == 0) after = operation.IndexOf(' ', StringComparison.Ordinal) is var space and >= 0 ? space : operation.Length;
        return $"{operation[..after]} {path}{operation[after..]}";
    }

    /// <summary>A kfunc call with its arguments, and its result.</summary>
    public static (string Text, string Result) Call(in TraceEvent entry)
    {
        var (a, b, c) = (entry.A, entry.B, entry.C);
        if (entry.Code == KfuncPrototypes.Submit.Id)
            return ($"uring_submit({Name((IoUringOp)a)} file {(int)b}, length {c})", Result(entry.Result));
        if (entry.Code == KfuncPrototypes.Buffer.Id)
            return ($"uring_buffer({a}, {b}, {c})", entry.Result != 0 ? "memory" : "NULL");
        var id = entry.Code;
        var prototype = s_kfuncs.FirstOrDefault(kfunc => kfunc.Id == id);
        var count = (prototype?.Arguments.Length ?? 4) - 1;
        var arguments = new[] { a, b, c }.Take(count).Select(value => value.ToString(CultureInfo.InvariantCulture));
        return ($"{prototype?.Name ?? $"kfunc {id}"}({string.Join(", ", arguments)})", Result(entry.Result));
    }

    /// <summary>What a policy was asked and said.</summary>
    public static (string Text, string Result) Judged(in TraceEvent entry, string policy) =>
        ($"policy {policy}({Name((IoUringOp)entry.Code)} file {(int)entry.A}, length {entry.A >> 32})", entry.Result < 0 ? Result(entry.Result) : "allowed");

    private static readonly FunctionPrototype[] s_kfuncs =
    [
        KfuncPrototypes.Cancel, KfuncPrototypes.Emit, KfuncPrototypes.HoldBuffer, KfuncPrototypes.Timeout, KfuncPrototypes.Handover,
        KfuncPrototypes.ReleaseBuffer, KfuncPrototypes.Fork, KfuncPrototypes.Join, KfuncPrototypes.Message,
        KfuncPrototypes.CancelFile, KfuncPrototypes.CancelAll,
    ];

    /// <summary>A time span in its natural unit.</summary>
    public static string Duration(ulong nanoseconds) => nanoseconds switch
    {
        < 1_000 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds} ns"),
        < 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e3:0.##} µs"),
        < 1_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e6:0.##} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e9:0.##} s"),
    };

    /// <summary>How a chain ended.</summary>
    public static string Outcome(TraceLane lane) => lane.Chain == 0 ? ""
        : !lane.Ended ? "still running"
        : lane.Verdict < 0 ? Result(lane.Verdict)
        : $"pass {Result(lane.Result)}";
}
