using Xunit;
using static UringBpf.Bytecode.Tests.Objects.ObjectPatch;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>Every refusal of the loader, provoked: by sources that compile but do not load, and by damaged objects.</summary>
public sealed class RefusalTests
{
    private static readonly string s_folder = Path.Combine(Path.GetDirectoryName(Corpus.PathOf("linking"))!, "..");

    public static TheoryData<string> Sources => [.. Names("refused")];

    public static TheoryData<string> AtLimit => [.. Names("accepted")];

    private static IEnumerable<string> Names(string folder) =>
        Directory.GetFiles(Path.Combine(s_folder, folder)).Select(path => Path.GetFileName(path)).Order();

    /// <summary>Each object in out/refused is named after its code.</summary>
    [Theory]
    [MemberData(nameof(Sources))]
    public void ARefusedSourceIsRefusedWithItsCode(string name)
    {
        var refusal = Assert.Throws<BpfException>(() => ObjectSpec.Load(File.ReadAllBytes(Path.Combine(s_folder, "refused", name)), name));
        Assert.Equal(name[..name.IndexOf('-')], refusal.Code);
        Assert.StartsWith(name + ": ", refusal.Reason);
    }

    [Theory]
    [MemberData(nameof(AtLimit))]
    public void WhatIsJustWithinALimitLoads(string name) =>
        Assert.Single(ObjectSpec.Load(File.ReadAllBytes(Path.Combine(s_folder, "accepted", name))).Programs);

    private static ObjectPatch Linking => new(Corpus.Bytes("linking"));
    private static ObjectPatch Globals => new(Corpus.Bytes("globals"));
    private static ObjectPatch Maps => new(Corpus.Bytes("maps"));

    private static void Refused(string code, ObjectPatch patch) => Assert.Equal(code, Assert.Throws<BpfException>(() => patch.Load()).Code);

    [Fact]
    public void FilesThatAreNotElf()
    {
        foreach (var bytes in new byte[][] { [], [0x7f], "#!/bin/sh\n"u8.ToArray(), "\u007fELF"u8.ToArray() })
            Assert.Equal("UB1001", Assert.Throws<BpfException>(() => ObjectSpec.Load(bytes)).Code);
        Refused("UB1001", Linking.Truncate(63));
    }

    [Fact]
    public void HeadersOfOtherKinds()
    {
        Refused("UB1002", Linking.Set8(4, 1));
        Refused("UB1003", Linking.Set8(5, 2));
        Refused("UB1004", Linking.Set16(18, 62));
        Refused("UB1005", Linking.Set16(16, 2));
        Refused("UB1006", Linking.Set8(6, 2));
        Refused("UB1006", Linking.Set32(20, 2));
        Assert.NotEmpty(Linking.Set16(18, 0).Load().Programs);
    }

    [Fact]
    public void SectionTablesOutOfTheFile()
    {
        Refused("UB1007", Linking.Set16(60, 0));
        Refused("UB1007", Linking.Set16(60, 0xfeff));
        Refused("UB1007", Linking.Set16(58, 32));
        Refused("UB1007", Linking.Set64(40, ulong.MaxValue - 8));
        Refused("UB1007", Linking.Truncate(1000));
    }

    [Fact]
    public void SectionsOutOfTheFileOrOnTopOfEachOther()
    {
        Refused("UB1008", Linking.Set64(Linking.Header("raw") + SectionSize, 1 << 20));
        Refused("UB1008", Linking.Set64(Linking.Header("raw") + SectionOffset, ulong.MaxValue));
        Refused("UB1016", Linking.Set64(Linking.Header("raw") + SectionOffset, (ulong)Linking.Contents(".text")));
    }

    [Fact]
    public void StringTables()
    {
        Refused("UB1009", Linking.Set16(62, 0));
        Refused("UB1009", Linking.Set16(62, Linking.Index("raw")));
        Refused("UB1009", Linking.Set8(Linking.End(".strtab") - 1, 'x'));
        Refused("UB1009", Linking.Set32(Linking.Header(".symtab") + SectionLink, (uint)Linking.Index(".text")));
        Refused("UB1010", Linking.Set32(Linking.Header("raw"), 1 << 20));
        Refused("UB1010", Linking.Set32(Linking.Symbol("first"), 1 << 20));
    }

    [Fact]
    public void SymbolTables()
    {
        Refused("UB1011", Linking.Set64(Linking.Header(".symtab") + SectionEntrySize, 16));
        Refused("UB1012", Linking.Set32(Linking.Header(".text") + SectionType, 2));
        Refused("UB1013", Linking.Set32(Linking.Header(".symtab") + SectionType, 1));
        Refused("UB1015", Linking.Set16(Linking.Symbol("first") + SymbolSection, 500));
    }

    [Fact]
    public void RelocationTables()
    {
        Refused("UB1014", Linking.Set64(Linking.Header(".relraw") + SectionEntrySize, 24));
        Refused("UB1014", Linking.Set32(Linking.Header(".relraw") + SectionType, 4));
        Refused("UB1014", Linking.Set32(Linking.Header(".relraw") + SectionInfo, 500));
        Refused("UB1014", Linking.Set32(Linking.Header(".relraw") + SectionLink, (uint)Linking.Index(".text")));
        Refused("UB1014", Linking.Set32(Linking.Header(".relraw/third") + SectionInfo, (uint)Linking.Index("raw")));
        Refused("UB1030", Linking.Set32(Linking.Relocation(".relraw", 0) + RelocationSymbol, 10_000));
    }

    [Fact]
    public void GlobalDataAndItsVariables()
    {
        Refused("UB1017", Globals.Set32(Globals.Header(".rodata") + SectionType, 8).Set32(Globals.Header(".rel.rodata") + SectionType, 1));
        Refused("UB1019", Globals.Set64(Globals.Symbol("named") + SymbolSize, 1000));
        Refused("UB1019", Globals.Set64(Globals.Symbol("named") + SymbolSize, ulong.MaxValue));
    }

    [Fact]
    public void FunctionsThatDoNotFitTheirSection()
    {
        Refused("UB1020", Linking.Set64(Linking.Symbol("first") + SymbolSize, 12));
        Refused("UB1020", Linking.Set64(Linking.Symbol("third") + SymbolValue, 4));
        Refused("UB1021", Linking.Set64(Linking.Symbol("third") + SymbolSize, 4096));
        Refused("UB1021", Linking.Set64(Linking.Symbol("third") + SymbolValue, ulong.MaxValue - 7));
        Refused("UB1022", Linking.Set64(Linking.Symbol("second") + SymbolValue, Linking.Get64(Linking.Symbol("first") + SymbolValue)));
        Refused("UB1023", Linking.Set64(Linking.Symbol("third") + SymbolSize, 0));
    }

    [Fact]
    public void RelocationsThatPointNowhere()
    {
        Refused("UB1031", Linking.Set64(Linking.Relocation(".relraw", 0), 3));
        Refused("UB1031", Linking.Set64(Linking.Relocation(".relraw", 0), 1 << 20));
        Refused("UB1031", Linking.Set64(Linking.Relocation(".relraw", 0), Linking.Get64(Linking.Relocation(".relraw", 1))));
        Refused("UB1031", Linking.Set64(Linking.Relocation(".rel.BTF.ext", 0), 1 << 20));
        Refused("UB1032", Linking.Set32(Linking.Relocation(".relraw", 0) + RelocationType, 3));
        Refused("UB1032", Linking.Set32(Linking.Relocation(".relraw", 0) + RelocationType, 99));
        Refused("UB1032", Linking.Set32(Linking.Relocation(".rel.BTF.ext", 0) + RelocationType, 10));
    }

    [Fact]
    public void RelocationsOfInstructionsThatCannotCarryThem()
    {
        var call = Linking.Contents("raw") + (int)Linking.Get64(Linking.Relocation(".relraw", 1));
        Assert.Equal(0x85u, Linking.Get32(call) & 0xff);
        Refused("UB1033", Linking.Set8(call, 0x07));
        // A call of a helper has no callee to relocate.
        Refused("UB1033", Linking.Set8(call + 1, 0));
        Refused("UB1033", Linking.Set32(Linking.Relocation(".relraw", 1) + RelocationType, 1));
        // The second half of a 16-byte load.
        Refused("UB1033", Linking.Set64(Linking.Relocation(".relraw", 0), Linking.Get64(Linking.Relocation(".relraw", 0)) + 8));
        // A map by descriptor, without a relocation.
        var load = Linking.Contents("raw") + (int)Linking.Get64(Linking.Relocation(".relraw", 0));
        Refused("UB1033", Linking.Set32(Linking.Relocation(".relraw", 0) + RelocationType, 0).Set8(load + 1, 0x11));
    }

    [Fact]
    public void CallsIntoTheMiddle()
    {
        var call = Linking.Contents("raw") + (int)Linking.Get64(Linking.Relocation(".relraw", 1));
        Refused("UB1034", Linking.Set32(call + 4, Linking.Get32(call + 4) + 1));
        Refused("UB1034", Linking.Set32(call + 4, 0x7fffffff));
        Refused("UB1034", Linking.Set32(call + 4, 0x80000000));
        // The address of the second instruction of a callback.
        var load = Linking.Contents("raw") + (int)Linking.Get64(Linking.Relocation(".relraw", 0));
        Refused("UB1034", Linking.Set32(load + 4, Linking.Get32(load + 4) + 8));
        // What an old compiler leaves of a call that it could not resolve: no relocation, and itself as the callee.
        Refused("UB1034", Linking.Set32(Linking.Relocation(".relraw", 1) + RelocationType, 0).Set32(call + 4, 0xffffffff));
    }

    [Fact]
    public void ALoadCutInTwo()
    {
        var end = Linking.Contents("raw/third") + 8 * 3;
        Refused("UB1035", Linking.Set64(end, 0x18));
    }

    [Fact]
    public void AddressesOfNothing()
    {
        // The middle of a map definition.
        Refused("UB1036", Maps.Set32(Maps.Contents("raw") + (int)Maps.Get64(Maps.Relocation(".relraw", 0)) + 4, 8));
        var load = Globals.Contents("raw") + (int)Globals.Get64(Globals.Relocation(".relraw", 0));
        Refused("UB1037", Globals.Set32(load + 4, 4096));
        Refused("UB1037", Globals.Set32(load + 4, 0xfffffff0));
    }

    [Fact]
    public void MapDefinitionsThatBtfDoesNotDescribe()
    {
        Refused("UB1301", Maps.Rename(".BTF", ".maps", ".mops"));
        Refused("UB1301", Maps.Set32(Maps.Header(".BTF"), Maps.Get32(Maps.Header("license"))));
        Refused("UB1302", Maps.Set64(Maps.Symbol("sized") + SymbolValue, 4096));
        Refused("UB1302", Maps.Set64(Maps.Symbol("sized") + SymbolValue, Maps.Get64(Maps.Symbol("locks") + SymbolValue)));
        Refused("UB1313", Maps.Rename(".BTF", "inner_a", "inner_b"));
    }

    [Fact]
    public void CompilerLibraryCallsAreRefusedWithAHint()
    {
        ObjectPatch Call(string name) => new ObjectPatch(File.ReadAllBytes(Path.Combine(s_folder, "refused", "UB1320-kfunc.bpf.o"))).Rename(".strtab", "no_such_kfunc", name);
        foreach (var name in new[] { "memset", "memcpy", "__multi3" })
        {
            var refusal = Assert.Throws<BpfException>(() => Call(name).Load());
            Assert.Equal("UB1321", refusal.Code);
            Assert.Contains($"'{name}'", refusal.Reason);
        }
        Assert.Contains("__builtin_memset", Assert.Throws<BpfException>(() => Call("memset").Load()).Reason);
    }

    [Fact]
    public void NamesThatDoNotExist()
    {
        var spec = Corpus.Load("globals");
        Assert.Equal("UB1330", Assert.Throws<BpfException>(() => spec.Program("nothing")).Code);
        Assert.Equal("UB1331", Assert.Throws<BpfException>(() => spec.Map("nothing")).Code);
        Assert.Equal("UB1332", Assert.Throws<BpfException>(() => spec.Global("nothing")).Code);
        Assert.Equal("UB1333", Assert.Throws<BpfException>(() => spec.WithGlobal("threshold", 5L)).Code);
        Assert.Equal("UB1333", Assert.Throws<BpfException>(() => spec.GlobalValue<byte>("threshold")).Code);
    }
}
