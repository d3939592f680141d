using System.ComponentModel;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace UringBpf.Runtime;

/// <summary>Receives what programs print, one call per bpf_trace_printk: UTF-8 text as formatted, without a line end of its own.
/// Called on the thread that runs the program; the text is gone when it returns.</summary>
public delegate void TraceSink(ReadOnlySpan<byte> text);

/// <summary>Helpers about text: printing, formatting, parsing. Arguments are register values.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static unsafe class TextFunctions
{
    // bpf_trace_printk's buffer and bpf_snprintf's arguments, as in the kernel.
    private const int MaxLine = 1024, MaxArguments = 12;

    private static volatile TraceSink s_sink = WriteToStandardError;

    /// <summary>Where bpf_trace_printk and bpf_trace_vprintk print: by default standard error, one line each.</summary>
    public static TraceSink Sink
    {
        get => s_sink;
        set => s_sink = value;
    }

    /// <summary>bpf_trace_printk: bytes of the format up to its NUL; -EINVAL for a bad one; -EIO when the sink threw.</summary>
    /// <remarks>The kernel's result is the bytes printed. Arguments may be pointers, and how many digits an address takes, or how
    /// long the text at it is, tells a program where things are.</remarks>
    public static ulong TracePrint(ulong format, ulong formatSize, ulong first, ulong second, ulong third, ExecutionState* state) =>
        Print(format, formatSize, [first, second, third], state);

    /// <summary>bpf_trace_vprintk: results as for <see cref="TracePrint"/>.</summary>
    public static ulong TracePrintArray(ulong format, ulong formatSize, ulong data, ulong dataBytes, ExecutionState* state)
    {
        if (!AreArguments(data, dataBytes)) return Errno.Status(Errno.EINVAL);
        Span<ulong> arguments = stackalloc ulong[MaxArguments];
        return Print(format, formatSize, Arguments(data, dataBytes, arguments), state);
    }

    /// <summary>bpf_snprintf: bytes the whole text takes, its NUL included, or -EINVAL, also for conversions that follow an address. The buffer is filled to its end: text, then zeroes.</summary>
    public static ulong Format(ulong buffer, ulong size, ulong format, ulong data, ulong dataBytes, ExecutionState* state)
    {
        var output = new Span<byte>((byte*)buffer, (int)size);
        output.Clear();
        if (!AreArguments(data, dataBytes)) return Errno.Status(Errno.EINVAL);
        Span<ulong> arguments = stackalloc ulong[MaxArguments];
        var text = MemoryMarshal.CreateReadOnlySpanFromNullTerminated((byte*)format);
        var length = TextFormat.Format(text, Arguments(data, dataBytes, arguments), output.IsEmpty ? output : output[..^1], state, follows: false);
        return (ulong)(length < 0 ? length : length + 1);
    }

    /// <summary>bpf_strtol: characters consumed; -EINVAL for no number, a bad base or flag; -ERANGE. The result is 0 on errors.</summary>
    public static ulong ParseSigned(ulong text, ulong length, ulong flags, ulong result)
    {
        var consumed = Parse(new ReadOnlySpan<byte>((byte*)text, (int)length), flags, out var magnitude, out var negative);
        if (consumed > 0 && magnitude > (ulong)long.MaxValue + (negative ? 1UL : 0)) consumed = -Errno.ERANGE;
        Unsafe.WriteUnaligned((byte*)result, consumed < 0 ? 0 : negative ? 0 - magnitude : magnitude);
        return (ulong)(long)consumed;
    }

    /// <summary>bpf_strtoul: as <see cref="ParseSigned"/>; a minus sign is -EINVAL.</summary>
    public static ulong ParseUnsigned(ulong text, ulong length, ulong flags, ulong result)
    {
        var consumed = Parse(new ReadOnlySpan<byte>((byte*)text, (int)length), flags, out var magnitude, out var negative);
        if (consumed > 0 && negative) consumed = -Errno.EINVAL;
        Unsafe.WriteUnaligned((byte*)result, consumed < 0 ? 0 : magnitude);
        return (ulong)(long)consumed;
    }

    private static ulong Print(ulong format, ulong formatSize, ReadOnlySpan<ulong> arguments, ExecutionState* state)
    {
        var text = new ReadOnlySpan<byte>((byte*)format, (int)formatSize);
        var end = text.IndexOf((byte)0);
        if (end < 0) return Errno.Status(Errno.EINVAL);
        Span<byte> line = stackalloc byte[MaxLine];
        var length = TextFormat.Format(text[..end], arguments, line, state, follows: true);
        if (length < 0) return (ulong)length;
        line = line[..(int)Math.Min(length, MaxLine)];
        try
        {
            s_sink(line);
        }
        catch (Exception)
        {
            // The sink is the host's; its failure must not unwind a program. The program is told.
            return Errno.Status(Errno.EIO);
        }
        return (ulong)end;
    }

    private static bool AreArguments(ulong data, ulong bytes) => bytes % 8 == 0 && bytes <= MaxArguments * 8 && (bytes == 0 || data != 0);

    private static ReadOnlySpan<ulong> Arguments(ulong data, ulong bytes, Span<ulong> copy)
    {
        copy = copy[..(int)(bytes / 8)];
        new ReadOnlySpan<byte>((byte*)data, (int)bytes).CopyTo(MemoryMarshal.AsBytes(copy));
        return copy;
    }

    // Characters consumed, or -errno.
    private static int Parse(ReadOnlySpan<byte> text, ulong flags, out ulong magnitude, out bool negative)
    {
        magnitude = 0;
        negative = false;
        if (flags is not (0 or 8 or 10 or 16)) return -Errno.EINVAL;
        var at = 0;
        while (at < text.Length && text[at] is >= 9 and <= 13 or (byte)' ') at++;
        if (at < text.Length && text[at] == '-')
        {
            negative = true;
            at++;
        }
        var radix = (uint)flags;
        var isHex = at + 2 < text.Length && text[at] == '0' && (text[at + 1] | 0x20) == 'x' && Digit(text[at + 2]) < 16;
        if (radix == 0) radix = isHex ? 16 : at < text.Length && text[at] == '0' ? 8u : 10;
        if (radix == 16 && isHex) at += 2;
        var first = at;
        var overflows = false;
        for (; at < text.Length && Digit(text[at]) is var digit && digit < radix; at++)
        {
            overflows |= magnitude > (ulong.MaxValue - digit) / radix;
            magnitude = magnitude * radix + digit;
        }
        return at == first ? -Errno.EINVAL : overflows ? -Errno.ERANGE : at;
    }

    private static uint Digit(byte character) => character switch
    {
        >= (byte)'0' and <= (byte)'9' => character - (uint)'0',
        >= (byte)'a' and <= (byte)'f' => character - (uint)'a' + 10,
        >= (byte)'A' and <= (byte)'F' => character - (uint)'A' + 10,
        _ => uint.MaxValue,
    };

    private static void WriteToStandardError(ReadOnlySpan<byte> text)
    {
        using var stream = Console.OpenStandardError();
        stream.Write(text);
        if (text.IsEmpty || text[^1] != '\n') stream.WriteByte((byte)'\n');
    }
}
