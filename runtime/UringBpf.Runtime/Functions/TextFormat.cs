namespace UringBpf.Runtime;

/// <summary>
/// The format language of bpf_trace_printk, bpf_trace_vprintk and bpf_snprintf (<c>bpf_bprintf_prepare</c> in
/// <c>kernel/bpf/helpers.c</c>): <c>%% %c %s %d %i %u %x %X</c> with <c>l</c>, <c>ll</c>, flags <c>0 + -</c> and space, a width;
/// <c>%p %px %pK</c>, <c>%pks %pus</c>, <c>%pI4 %pi4 %pI6 %pi6</c>. Allocates nothing.
/// </summary>
internal unsafe ref struct TextFormat
{
    private readonly Span<byte> _output;
    private readonly ReadOnlySpan<ulong> _arguments;
    private readonly ExecutionState* _state;
    private readonly bool _follows;
    private int _used;
    private long _total;

    private TextFormat(ReadOnlySpan<ulong> arguments, Span<byte> output, ExecutionState* state, bool follows)
    {
        _arguments = arguments;
        _output = output;
        _state = state;
        _follows = follows;
    }

    /// <summary>Formats into <paramref name="output"/>, cut to fit, not terminated.</summary>
    /// <param name="format">The format up to its NUL.</param>
    /// <param name="arguments">As many as there are; fewer may be used.</param>
    /// <param name="output">Where the text goes.</param>
    /// <param name="state">The run: addresses are followed only into its stack, its context and live maps.</param>
    /// <param name="follows">False for text that the program can read, where a conversion that follows an address is refused: arguments
    /// are numbers there, and what a guessed one shows would tell the program where things are.</param>
    /// <returns>Bytes of the whole text, which may be more than fitted, or -EINVAL.</returns>
    public static long Format(ReadOnlySpan<byte> format, ReadOnlySpan<ulong> arguments, Span<byte> output, ExecutionState* state, bool follows) =>
        new TextFormat(arguments, output, state, follows).Run(format);

    private long Run(ReadOnlySpan<byte> format)
    {
        // Like the kernel, look at the whole format before anything is written.
        foreach (var character in format)
        {
            if (character is not (>= 0x20 and < 0x7f) and not (>= 0x09 and <= 0x0d)) return -Errno.EINVAL;
        }
        var next = 0;
        for (var i = 0; i < format.Length; i++)
        {
            if (format[i] != '%')
            {
                Put(format[i]);
                continue;
            }
            if (At(format, i + 1) == '%')
            {
                Put((byte)'%');
                i++;
                continue;
            }
            if (next >= _arguments.Length) return -Errno.EINVAL;
            var spec = default(Conversion);
            i = Parse(format, i + 1, ref spec);
            if (i < 0 || (!_follows && spec.Kind is (byte)'s' or (byte)'4' or (byte)'6')) return -Errno.EINVAL;
            Convert(spec, _arguments[next++]);
        }
        return _total;
    }

    private struct Conversion
    {
        public bool Zero, Left, Plus, Space;
        public int Width;
        public int Longs;
        /// <summary>The conversion letter; '4' and '6' for addresses.</summary>
        public byte Kind;
        /// <summary>For addresses: padded and without colons (%pi4, %pi6).</summary>
        public bool Plain;
    }

    // The index of the conversion's last character, or -1.
    private static int Parse(ReadOnlySpan<byte> format, int i, ref Conversion spec)
    {
        for (; At(format, i) is (byte)'0' or (byte)'+' or (byte)'-' or (byte)' '; i++)
        {
            spec.Zero |= format[i] == '0';
            spec.Plus |= format[i] == '+';
            spec.Left |= format[i] == '-';
            spec.Space |= format[i] == ' ';
        }
        for (; At(format, i) is >= (byte)'0' and <= (byte)'9'; i++) spec.Width = Math.Min(spec.Width * 10 + format[i] - '0', 4096);
        switch (At(format, i))
        {
            case (byte)'p':
                return ParsePointer(format, i, ref spec);
            case (byte)'s':
                spec.Kind = (byte)'s';
                return EndsAfter(format, i) ? i : -1;
            case (byte)'c':
                spec.Kind = (byte)'c';
                return i;
        }
        for (; At(format, i) == 'l' && spec.Longs < 2; i++) spec.Longs++;
        spec.Kind = At(format, i);
        return spec.Kind is (byte)'d' or (byte)'i' or (byte)'u' or (byte)'x' or (byte)'X' ? i : -1;
    }

    private static int ParsePointer(ReadOnlySpan<byte> format, int i, ref Conversion spec)
    {
        byte first = At(format, i + 1), second = At(format, i + 2);
        if (first is (byte)'k' or (byte)'u' && second == 's')
        {
            spec.Kind = (byte)'s';
            return EndsAfter(format, i + 2) ? i + 2 : -1;
        }
        if (first is (byte)'i' or (byte)'I')
        {
            if (second is not ((byte)'4' or (byte)'6')) return -1;
            spec.Kind = second;
            spec.Plain = first == 'i';
            return i + 2;
        }
        spec.Kind = (byte)'p';
        if (first is (byte)'K' or (byte)'x' or (byte)'s' or (byte)'S') return i + 1;
        return EndsAfter(format, i) ? i : -1;
    }

    private static byte At(ReadOnlySpan<byte> format, int i) => i < format.Length ? format[i] : (byte)0;

    // A conversion to text ends the format or is followed by white space or punctuation.
    private static bool EndsAfter(ReadOnlySpan<byte> format, int i) => !char.IsAsciiLetterOrDigit((char)At(format, i + 1));

    private void Convert(in Conversion spec, ulong argument)
    {
        switch (spec.Kind)
        {
            case (byte)'c':
                var character = (byte)argument;
                Pad(spec, new ReadOnlySpan<byte>(in character));
                break;
            case (byte)'s':
                Pad(spec, Text(argument));
                break;
            case (byte)'p':
                Number(spec with { Width = Math.Max(spec.Width, 16), Zero = true }, argument, false, 16, false);
                break;
            case (byte)'4' or (byte)'6':
                Address(spec, argument);
                break;
            case (byte)'d' or (byte)'i':
                var signed = spec.Longs > 0 ? (long)argument : (int)argument;
                Number(spec, signed < 0 ? 0 - (ulong)signed : (ulong)signed, signed < 0, 10, false);
                break;
            default:
                var value = spec.Longs > 0 ? argument : (uint)argument;
                Number(spec with { Plus = false, Space = false }, value, false, spec.Kind == 'u' ? 10u : 16, spec.Kind == 'X');
                break;
        }
    }

    private void Number(in Conversion spec, ulong value, bool negative, uint radix, bool upper)
    {
        Span<byte> digits = stackalloc byte[24];
        var at = digits.Length;
        do
        {
            var digit = (byte)(value % radix);
            digits[--at] = (byte)(digit < 10 ? '0' + digit : (upper ? 'A' : 'a') + digit - 10);
            value /= radix;
        }
        while (value != 0);
        var sign = negative ? '-' : spec.Plus ? '+' : spec.Space ? ' ' : '\0';
        if (sign != 0 && (!spec.Zero || spec.Left)) digits[--at] = (byte)sign;
        if (!spec.Zero || spec.Left)
        {
            Pad(spec, digits[at..]);
            return;
        }
        if (sign != 0) Put((byte)sign);
        for (var fill = spec.Width - (digits.Length - at) - (sign != 0 ? 1 : 0); fill > 0; fill--) Put((byte)'0');
        Put(digits[at..]);
    }

    private void Address(in Conversion spec, ulong argument)
    {
        var bytes = spec.Kind == '4' ? 4 : 16;
        Span<byte> address = stackalloc byte[16];
        address.Clear();
        var readable = Readable(argument);
        if (readable >= (ulong)bytes) new ReadOnlySpan<byte>((byte*)argument, bytes).CopyTo(address);
        Span<byte> text = stackalloc byte[40];
        var used = 0;
        for (var i = 0; i < bytes; i++)
        {
            if (bytes == 4)
            {
                if (i > 0) text[used++] = (byte)'.';
                if (spec.Plain || address[i] >= 100) text[used++] = (byte)('0' + address[i] / 100);
                if (spec.Plain || address[i] >= 10) text[used++] = (byte)('0' + address[i] / 10 % 10);
                text[used++] = (byte)('0' + address[i] % 10);
            }
            else
            {
                if (!spec.Plain && i > 0 && i % 2 == 0) text[used++] = (byte)':';
                text[used++] = Hex(address[i] >> 4);
                text[used++] = Hex(address[i] & 15);
            }
        }
        Pad(spec, text[..used]);
    }

    private static byte Hex(int digit) => (byte)(digit < 10 ? '0' + digit : 'a' + digit - 10);

    // A string in memory the run may read; empty when the address is anywhere else.
    private readonly ReadOnlySpan<byte> Text(ulong address)
    {
        var readable = new ReadOnlySpan<byte>((byte*)address, (int)Math.Min(Readable(address), 4096));
        var end = readable.IndexOf((byte)0);
        return end < 0 ? readable : readable[..end];
    }

    private readonly ulong Readable(ulong address)
    {
        var stackTop = (ulong)_state->StackTop;
        const ulong stackBytes = Bytecode.Limits.Frames * Bytecode.Limits.StackBytesPerFrame;
        if (address < stackTop && address >= stackTop - stackBytes) return stackTop - address;
        var context = (ulong)_state->Context;
        if (address >= context && address - context < _state->ContextLength) return _state->ContextLength - (address - context);
        return AddressSpace.Readable(address);
    }

    private void Pad(in Conversion spec, scoped ReadOnlySpan<byte> text)
    {
        var fill = spec.Width - text.Length;
        if (!spec.Left) for (; fill > 0; fill--) Put((byte)' ');
        Put(text);
        for (; fill > 0; fill--) Put((byte)' ');
    }

    private void Put(scoped ReadOnlySpan<byte> text)
    {
        foreach (var character in text) Put(character);
    }

    private void Put(byte character)
    {
        _total++;
        if (_used < _output.Length) _output[_used++] = character;
    }
}
