using Xunit;

namespace UringBpf.Bytecode.Tests.Objects;

/// <summary>
/// What three compilers make of one source must be the same object to a host: programs, sections, types, functions,
/// maps, variables, settings. What may differ is the code itself and so its length, BTF ids, and the line of an instruction.
/// </summary>
public sealed class CompilerAgreementTests
{
    public static TheoryData<string> Names => [.. Corpus.All().Where(o => o.Clang == 14).Select(o => o.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void ThreeCompilersGiveOneObject(string name)
    {
        var expected = Describe(Corpus.Load(name, 14), 14);
        Assert.Equal(expected, Describe(Corpus.Load(name, 16), 14));
        Assert.Equal(expected, Describe(Corpus.Load(name, 19), 14));
    }

    // One line per fact, so that a difference reads well. Programs that clang 14 can't compile are left out.
    private static string Describe(ObjectSpec spec, int oldest)
    {
        var lines = new List<string> { $"license {spec.License}, version {spec.KernelVersion:x}" };
        foreach (var program in spec.Programs.Where(program => oldest >= 15 || !(program.Name.StartsWith("type_matches", StringComparison.Ordinal) || program.Name == "enumerator_value_wide")))
        {
            lines.Add($"program {program.Name} in {program.Section}: type {program.Type?.Name ?? "unknown"}, maps {string.Join(' ', program.Maps.Select(map => map.Name).Order(StringComparer.Ordinal))}");
            foreach (var subprogram in program.Subprograms) lines.Add($"  function {subprogram.Name}, {(subprogram.IsGlobal ? "global" : "static")}: {Signature(spec.Types, subprogram.TypeId)}");
            lines.Add($"  poisoned: {string.Join("; ", program.Poisoned.Values.Order(StringComparer.Ordinal))}");
            lines.Add($"  files: {string.Join(' ', program.Lines.Select(line => Path.GetFileName(line.File)).Distinct())}");
        }
        foreach (var map in spec.Maps)
        {
            lines.Add($"map {Describe(map)}, key {TypeName(spec.Types, map.KeyTypeId)}, value {TypeName(spec.Types, map.ValueTypeId)}, entries {string.Join(' ', map.InitialEntries)}");
            if (map.InnerMap is { } inner) lines.Add($"  of {Describe(inner)}");
        }
        foreach (var global in spec.Globals.OrderBy(global => global.Name, StringComparer.Ordinal))
            lines.Add($"variable {global.Name}: {global.Size} bytes in {global.Map.Name}, type {TypeName(spec.Types, global.TypeId)}, value {Value(global)}");
        return string.Join('\n', lines);
    }

    private static string Describe(MapSpec map) =>
        $"{map.Name}: {map.Type} key {map.KeySize} value {map.ValueSize} entries {map.MaxEntries} flags {map.Flags} extra {map.Extra} lock {map.SpinLockOffset} frozen {map.IsFrozen} global {map.IsGlobalData}";

    private static string Value(GlobalVariable global) =>
        global.Map.InitialValue.IsEmpty ? "0" : Convert.ToHexString(global.Map.InitialValue.AsSpan().Slice(global.Offset, global.Size));

    private static string TypeName(BtfSpec types, int id) => types.Resolve(id) switch
    {
        BtfPointer pointer => TypeName(types, pointer.TypeId) + "*",
        BtfArray array => $"{TypeName(types, array.ElementTypeId)}[{array.Count}]",
        var type => type.Name,
    };

    private static string Signature(BtfSpec types, int id) => types[id] is BtfFunction function && types[function.TypeId] is BtfPrototype prototype
        ? $"{TypeName(types, prototype.ReturnTypeId)}({string.Join(", ", prototype.Parameters.Select(parameter => $"{TypeName(types, parameter.TypeId)} {parameter.Name}"))})"
        : "";
}
