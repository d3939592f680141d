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
}
