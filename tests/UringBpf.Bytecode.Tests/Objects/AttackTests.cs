using UringBpf.Bytecode.Tests.Btf;
using Xunit;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>Objects that no compiler writes, made to mislead what reads them.</summary>
public sealed class AttackTests
{
    private static readonly Instruction[] s_returns = [new(0xb7), new(0x95)];

    private static void Refused(string code, byte[] bytes, LoadOptions? options = null) =>
        Assert.Equal(code, Assert.Throws<BpfException>(() => ObjectSpec.Load(bytes, options: options)).Code);

    private static byte[] WithData(int bytes, BtfImage btf)
    {
        var writer = new ElfWriter();
        writer.Section(".data", new byte[bytes]);
        writer.Section(".BTF", btf.Bytes());
        return writer.Function("program", writer.Code("raw", s_returns), 0, 2).Bytes();
    }

    /// <summary>Where a lock lies is written to when a value is: a place past the value would be somebody else's memory.</summary>
    [Theory]
    [InlineData(0u, 8, "")]
    [InlineData(4u, 8, "")]
    [InlineData(8u, 8, "UB1314")]
    [InlineData(0u, 2, "UB1314")]
    [InlineData(0x7ffffffcu, 8, "UB1314")]
    public void SpinLocksLieInTheirValue(uint offset, int bytes, string code)
    {
        var object_ = WithData(bytes, new BtfImage()
            .Type(BtfImage.KindStruct, "bpf_spin_lock", 4)
            .Type(BtfImage.KindVariable, "lock", 1, rest: [1])
            .Type(BtfImage.KindDataSection, ".data", 0, 1, rest: [2, offset, 4]));
        if (code.Length > 0) Refused(code, object_);
        else Assert.Equal((int)offset, ObjectSpec.Load(object_).Map(".data").SpinLockOffset);
    }

    /// <summary>Names are printed, and written into generated code: what ends a line there, or a terminal takes for a command, is no name.</summary>
    [Theory]
    [InlineData("a\nb")]
    [InlineData("\u001b[2Ja")]
    [InlineData("a\u0085b")]
    [InlineData("a\u2028b")]
    [InlineData("a\u007f")]
    public void NamesHaveNoControlCharacters(string name)
    {
        var writer = new ElfWriter();
        Refused("UB1010", writer.Function(name, writer.Code("raw", s_returns), 0, 2).Bytes());
        writer = new ElfWriter();
        Refused("UB1010", writer.Function("program", writer.Code(name, s_returns), 0, 2).Bytes());
        Refused("UB1209", WithData(8, new BtfImage().Int().Type(BtfImage.KindTypedef, name, 1)));
    }

    [Fact]
    public void SourceLinesAreMadePrintable()
    {
        var btf = new BtfImage().Int();
        var (file, line, section) = (btf.Text("a\u001b.c"), btf.Text("\treturn\u001b[1m 0;\u2028"), btf.Text("raw"));
        var extension = new List<byte>();
        foreach (var word in (uint[])[0x0001eb9f, 24, 0, 0, 0, 28, 16, section, 1, 0, file, line, 5 << 10 | 2]) extension.AddRange(BitConverter.GetBytes(word));
        var writer = new ElfWriter();
        writer.Section(".BTF", btf.Bytes());
        writer.Section(".BTF.ext", [.. extension]);
        writer.Section("license", "GPL\u001b"u8.ToArray());
        var object_ = ObjectSpec.Load(writer.Function("program", writer.Code("raw", s_returns), 0, 2).Bytes());
        Assert.Equal("GPL\ufffd", object_.License);
        Assert.Equal(new LineInfo(0, "a\ufffd.c", 5, 2, "\treturn\ufffd[1m 0;\ufffd"), Assert.Single(object_.Program("program").Lines));
    }

    private static byte[] Relocated(BtfImage btf, int records, Func<int, uint[]> record, int immediate = 0)
    {
        var section = btf.Text("raw");
        var words = new List<uint> { 0x0001eb9f, 32, 0, 0, 0, 0, 0, (uint)(12 + records * 16), 16, section, (uint)records };
        for (var i = 0; i < records; i++) words.AddRange(record(i));
        var code = new Instruction[records + 1];
        Array.Fill(code, new Instruction(0xb7, immediate: immediate));
        code[^1] = new Instruction(0x95);
        var writer = new ElfWriter();
        writer.Section(".BTF", btf.Bytes());
        writer.Section(".BTF.ext", [.. words.SelectMany(BitConverter.GetBytes)]);
        return writer.Function("program", writer.Code("raw", code), 0, code.Length).Bytes();
    }

    private static long Allocated(byte[] bytes)
    {
        ObjectSpec.Load(bytes);
        var before = GC.GetAllocatedBytesForCurrentThread();
        ObjectSpec.Load(bytes);
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    /// <summary>Many types may have one name of a megabyte, flavour and all: it must not be copied for each relocation to one of them.</summary>
    [Fact]
    public void LongNamesAreNotCopiedForEveryRelocation()
    {
        const int count = 2_000;
        var btf = new BtfImage();
        var name = btf.Text(new string('n', 500_000) + "___flavour");
        for (var i = 0; i < count; i++) btf.Words(name, (uint)BtfImage.KindStruct << 24, 4);
        var zero = btf.Text("0");
        // BPF_CORE_TYPE_EXISTS of each.
        var bytes = Relocated(btf, count, i => [(uint)i * 8, (uint)i + 1, zero, 8], immediate: 1);
        Assert.InRange(Allocated(bytes), 0, 256 * 1024 + 64L * bytes.Length);
    }

    /// <summary>Notes on what could not be relocated are kept for each instruction, and for each program that has it.</summary>
    [Fact]
    public void NotesOnInstructionsTakeLittle()
    {
        const int count = 20_000;
        var btf = new BtfImage();
        btf.Type(BtfImage.KindStruct, "unknown_here", 4);
        var zero = btf.Text("0:0");
        btf.Type(BtfImage.KindStruct, "also_unknown", 4, 1, rest: [btf.Text("member"), 1, 0]);
        var bytes = Relocated(btf, count, i => [(uint)i * 8, 2, zero, 0]);
        Assert.Equal(count, ObjectSpec.Load(bytes).Program("program").Poisoned.Count);
        Assert.InRange(Allocated(bytes), 0, 256 * 1024 + 64L * bytes.Length);
    }

    /// <summary>A function type whose parameters are function types of eight parameters each, and so on: what a message shows of it is short.</summary>
    [Fact]
    public void TypesThatMultiplyArePrintedInPart()
    {
        var btf = new BtfImage().Int();
        for (uint level = 1; level <= 8; level++)
            btf.Type(BtfImage.KindPrototype, "", 1, 8, rest: [.. Enumerable.Repeat<uint[]>([0, level], 8).SelectMany(words => words)]);
        btf.Type(BtfImage.KindFunction, "uring_emit", 9, 1);
        var types = btf.Parse();
        Assert.InRange(types.Format(10).Length, 10, 2_000);
        Assert.Contains("…", types.Format(10), StringComparison.Ordinal);
        Assert.Equal("int (int, int)", new BtfImage().Int().Type(BtfImage.KindPrototype, "", 1, 2, rest: [0, 1, 0, 1]).Parse().Format(2));
    }

    /// <summary>Types to relocate against may be a stranger's too: thirty unnamed structs, each of which holds the next one twice.</summary>
    [Fact]
    public void TargetsThatMultiplyAreGivenUp()
    {
        var target = new BtfImage().Int();
        for (uint i = 0; i < 40; i++) target.Type(BtfImage.KindStruct, i == 39 ? "shape" : "", 4, 2, rest: [0, i + 1, 0, 0, i + 1, 0]);
        var btf = new BtfImage().Int();
        btf.Type(BtfImage.KindStruct, "shape", 4, 1, rest: [btf.Text("member"), 1, 0]);
        var access = btf.Text("0:0");
        var bytes = Relocated(btf, 1, _ => [0, 2, access, 0]);
        Refused("UB1226", bytes, new LoadOptions { TargetBtf = target.Parse() });
    }

    /// <summary>Two sets of types in which each struct has the next one as several members of one name: 8^20 ways to compare them.</summary>
    [Fact]
    public void TypesToMatchThatMultiplyAreGivenUp()
    {
        static BtfImage Nested(BtfImage innermost, uint size)
        {
            for (uint i = 0; i < 20; i++)
            {
                var member = innermost.Text("m");
                innermost.Type(BtfImage.KindStruct, "s", size, 8, rest: [.. Enumerable.Range(0, 8).SelectMany(_ => (uint[])[member, i + 1, 0])]);
            }
            return innermost;
        }

        // The innermost differ, so that every way is tried.
        var target = Nested(new BtfImage().Type(BtfImage.KindInteger, "int", 8, rest: [1u << 24 | 64]), 8);
        var local = Nested(new BtfImage().Int(), 4);
        var zero = local.Text("0");
        // BPF_CORE_TYPE_MATCHES.
        Refused("UB1226", Relocated(local, 1, _ => [0, 21, zero, 12]), new LoadOptions { TargetBtf = target.Parse() });
    }
}
