using System.Text;
using UringBpf.Bytecode;
using Xunit;

namespace UringBpf.Runtime.Tests;

/// <summary>Formats and numbers as text.</summary>
[Collection(nameof(AloneCollection))]
public sealed unsafe class TextFunctionTests
{
    [Theory]
    [InlineData("plain", 0, "plain")]
    [InlineData("100%%", 0, "100%")]
    [InlineData("%d", -5, "-5")]
    [InlineData("%d", 0x1_0000_0005, "5")]
    [InlineData("%i|", int.MinValue, "-2147483648|")]
    [InlineData("%u", -1, "4294967295")]
    [InlineData("%lu", -1, "18446744073709551615")]
    [InlineData("%ld", long.MinValue, "-9223372036854775808")]
    [InlineData("%lld", -7, "-7")]
    [InlineData("%x", 0xABCDEF, "abcdef")]
    [InlineData("%llX", -1, "FFFFFFFFFFFFFFFF")]
    [InlineData("%c!", 'A', "A!")]
    [InlineData("[%5d]", 42, "[   42]")]
    [InlineData("[%-5d]", 42, "[42   ]")]
    [InlineData("[%05d]", -42, "[-0042]")]
    [InlineData("[%+d]", 42, "[+42]")]
    [InlineData("[% d]", 42, "[ 42]")]
    [InlineData("[%08llx]", 0xbeef, "[0000beef]")]
    [InlineData("[%3c]", 'x', "[  x]")]
    [InlineData("%p", 0x1234, "0000000000001234")]
    [InlineData("%px.", 0x1234, "0000000000001234.")]
    [InlineData("tab\tand\n", 0, "tab\tand\n")]
    // Numbers that are no addresses the run may read.
    [InlineData("[%s]", 0x1234, "[]")]
    [InlineData("%pI4", 0x1234, "0.0.0.0")]
    [InlineData("%pi6", 0, "00000000000000000000000000000000")]
    public void Formats_a_number(string format, long argument, string expected)
    {
        Assert.Equal(expected, Format(format, argument));
    }

    [Theory]
    [InlineData("%")]
    [InlineData("%q")]
    [InlineData("%ls")]
    [InlineData("%l")]
    [InlineData("%lc")]
    [InlineData("%.3d")]
    [InlineData("%f")]
    [InlineData("%n")]
    [InlineData("%sx")]
    [InlineData("%pq")]
    [InlineData("%pI5")]
    [InlineData("bell\a")]
    [InlineData("\u00e9")]
    [InlineData("%d %d")]
    public void Refuses_what_the_kernel_refuses(string format) => Assert.Null(Format(format, 1));

    [Fact]
    public void Strings_and_addresses_come_from_memory_the_run_may_read()
    {
        using var map = BpfMap.Create(MapSpecs.Spec(MapType.Array, 4, 32, 1) with
        {
            InitialValue = [.. "map text\0"u8, .. new byte[23]],
            IsFrozen = true,
        });
        using var other = MapSpecs.Create(MapType.Array, 4, 32, 1);
        "other"u8.CopyTo(new Span<byte>(other.Header->Data, 32));
        var state = ExecutionSlot.Current;
        var stack = state->StackTop - 16;
        "on stack\0"u8.CopyTo(new Span<byte>(stack, 16));
        var context = stackalloc byte[4] { 192, 168, 0, 1 };
        state->Context = context;
        state->ContextLength = 4;

        Assert.Equal("map text, on stack", Format("%s, %s", (long)map.Header->Data, (long)stack));
        Assert.Equal("other", Format("%s", (long)other.Header->Data));
        Assert.Equal("192.168.0.1 192.168.000.001", Format("%pI4 %pi4", (long)context, (long)context));
        Assert.Equal("6f6e2073", Format("%pi6", (long)stack)![..8]);
        Assert.Equal("6f6e:2073", Format("%pI6", (long)stack)![..9]);
        // A context of 4 bytes has no 16, and its text ends where it ends.
        Assert.Equal("0000:0000:0000:0000:0000:0000:0000:0000", Format("%pI6", (long)context));
        Assert.Equal("\u0001", Format("%s", (long)(context + 3)));
        state->Context = null;
        state->ContextLength = 0;
    }

    // A program passes numbers to it and reads the text: what lies at a guessed address would tell it where its stack is.
    [Theory]
    [InlineData("%s\0")]
    [InlineData("%pks\0")]
    [InlineData("%pI4\0")]
    [InlineData("%pi6\0")]
    public void Snprintf_follows_no_address(string format)
    {
        var state = ExecutionSlot.Current;
        var stack = (ulong)(state->StackTop - 16);
        var output = stackalloc byte[64];
        fixed (byte* text = Encoding.ASCII.GetBytes(format))
        {
            Expect.Status(Expect.Einval, TextFunctions.Format((ulong)output, 64, (ulong)text, (ulong)&stack, 8, state));
            stack = 0;
            Expect.Status(Expect.Einval, TextFunctions.Format((ulong)output, 64, (ulong)text, (ulong)&stack, 8, state));
        }
    }

    // Arguments may be pointers: how many digits they take, or how long the text is that they point to, is not for the program.
    [Theory]
    [InlineData("%u\0", 2)]
    [InlineData("%s\0", 2)]
    [InlineData("%lld.\0", 5)]
    [InlineData("%pI4 %%\0", 7)]
    public void The_result_of_printing_says_nothing_about_what_was_printed(string format, int expected)
    {
        var before = TextFunctions.Sink;
        try
        {
            TextFunctions.Sink = _ => { };
            var stack = ExecutionSlot.Current->StackTop - 16;
            new Span<byte>(stack, 16).Fill((byte)'x');
            foreach (var value in (long[])[0, 7, 1_000_000_000, -1, long.MaxValue, (long)stack, (long)stack + 15]) Assert.Equal(expected, Print(format, value));
        }
        finally
        {
            TextFunctions.Sink = before;
        }
    }

    [Fact]
    public void Snprintf_cuts_and_terminates()
    {
        Assert.Equal("12345", Snprintf("%d", 6, 12345));
        Assert.Equal("1234", Snprintf("%d", 5, 12345));
        Assert.Equal("", Snprintf("%d", 1, 12345));
        long data = 12345;
        fixed (byte* format = "%d\0"u8)
        {
            var state = ExecutionSlot.Current;
            Assert.Equal(6ul, TextFunctions.Format(0, 0, (ulong)format, (ulong)&data, 8, state));
            Expect.Status(Expect.Einval, TextFunctions.Format(0, 0, (ulong)format, (ulong)&data, 7, state));
            Expect.Status(Expect.Einval, TextFunctions.Format(0, 0, (ulong)format, 0, 8, state));
            Expect.Status(Expect.Einval, TextFunctions.Format(0, 0, (ulong)format, (ulong)&data, 13 * 8, state));
            Expect.Status(Expect.Einval, TextFunctions.Format(0, 0, (ulong)format, 0, 0, state));
        }
    }

    [Fact]
    public void Printing_reaches_the_sink()
    {
        var before = TextFunctions.Sink;
        var lines = new List<string>();
        try
        {
            TextFunctions.Sink = text => lines.Add(Encoding.UTF8.GetString(text));
            Assert.Equal(7, Print("a %d %u\0", 1, 22));
            Assert.Equal(6, Print("%1023d\0", 1));
            Assert.Equal(6, Print("%2000d\0", 1));
            Assert.Equal(Expect.Einval, Print("no end", 1));
            TextFunctions.Sink = _ => throw new IOException();
            Assert.Equal(Expect.Eio, Print("x\0", 1));
        }
        finally
        {
            TextFunctions.Sink = before;
        }
        Assert.Equal(["a 1 22", new string(' ', 1022) + "1", new string(' ', 1024)], lines);
    }

    [Theory]
    [InlineData("42", 0, 2, 42)]
    [InlineData("  -42 rest", 10, 5, -42)]
    [InlineData("0x1f", 0, 4, 31)]
    [InlineData("0x1f", 16, 4, 31)]
    [InlineData("1f", 16, 2, 31)]
    [InlineData("017", 0, 3, 15)]
    [InlineData("0x", 0, 1, 0)]
    [InlineData("9223372036854775807", 10, 19, long.MaxValue)]
    [InlineData("-9223372036854775808", 10, 20, long.MinValue)]
    [InlineData("9223372036854775808", 10, Expect.Erange, 0)]
    [InlineData("-9223372036854775809", 10, Expect.Erange, 0)]
    [InlineData("99999999999999999999", 10, Expect.Erange, 0)]
    [InlineData("+1", 10, Expect.Einval, 0)]
    [InlineData("", 10, Expect.Einval, 0)]
    [InlineData("-", 10, Expect.Einval, 0)]
    [InlineData("x", 10, Expect.Einval, 0)]
    [InlineData("1", 2, Expect.Einval, 0)]
    [InlineData("1", 0x100, Expect.Einval, 0)]
    public void Strtol_is_the_kernels(string text, long flags, int consumed, long expected)
    {
        long result = -1;
        fixed (byte* bytes = Encoding.ASCII.GetBytes(text + "?"))
            Expect.Status(consumed, TextFunctions.ParseSigned((ulong)bytes, (ulong)text.Length, (ulong)flags, (ulong)&result));
        Assert.Equal(expected, result);
    }

    [Theory]
    [InlineData("18446744073709551615", 20, ulong.MaxValue)]
    [InlineData("18446744073709551616", Expect.Erange, 0ul)]
    [InlineData("-1", Expect.Einval, 0ul)]
    public void Strtoul_is_the_kernels(string text, int consumed, ulong expected)
    {
        ulong result = 1;
        fixed (byte* bytes = Encoding.ASCII.GetBytes(text))
            Expect.Status(consumed, TextFunctions.ParseUnsigned((ulong)bytes, (ulong)text.Length, 10, (ulong)&result));
        Assert.Equal(expected, result);
    }

    private static string? Format(string format, params long[] arguments)
    {
        var output = new byte[256];
        var length = TextFormat.Format(Encoding.Latin1.GetBytes(format), arguments.Select(a => (ulong)a).ToArray(), output, ExecutionSlot.Current, follows: true);
        if (length >= 0) return Encoding.ASCII.GetString(output, 0, (int)length);
        Assert.Equal(Expect.Einval, length);
        return null;
    }

    private static string Snprintf(string format, int size, params long[] data)
    {
        var output = new byte[size];
        fixed (byte* buffer = output, text = Encoding.ASCII.GetBytes(format + "\0"))
        fixed (long* values = data)
        {
            var length = (long)TextFunctions.Format((ulong)buffer, (ulong)size, (ulong)text, (ulong)values, (ulong)data.Length * 8, ExecutionSlot.Current);
            Assert.True(length > 0);
            var end = Array.IndexOf(output, (byte)0);
            Assert.Equal(Math.Min(length, size) - 1, end);
            return Encoding.ASCII.GetString(output, 0, end);
        }
    }

    private static int Print(string format, params long[] values)
    {
        var a = values.Concat(new long[3]).Select(v => (ulong)v).ToArray();
        fixed (byte* text = Encoding.ASCII.GetBytes(format))
            return (int)TextFunctions.TracePrint((ulong)text, (ulong)format.Length, a[0], a[1], a[2], ExecutionSlot.Current);
    }
}
