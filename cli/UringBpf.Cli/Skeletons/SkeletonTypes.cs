using System.Globalization;
using System.Text;
using UringBpf.Bytecode;
using static UringBpf.Cli.CSharpNames;

namespace UringBpf.Cli;

/// <summary>C types of an object as C# types of the same size and layout; those that need a declaration are collected.</summary>
/// <param name="types">The object's types.</param>
/// <param name="taken">Names that types must not have.</param>
internal sealed class SkeletonTypes(BtfSpec types, params IEnumerable<string> taken)
{
    private const int MostFields = 100_000;

    private readonly CSharpNames _names = new(taken);
    private readonly Dictionary<int, string> _structs = [];
    private readonly Dictionary<(string Element, long Count), string> _arrays = [];
    private readonly List<string> _declarations = [];
    private int _fields;

    /// <summary>Declarations, each of whole lines, in the order they were needed.</summary>
    public IReadOnlyList<string> Declarations => _declarations;

    /// <summary>The type of so many bytes that a BTF id describes; plain bytes where it does not.</summary>
    /// <param name="id">Id, or 0 for unknown.</param>
    /// <param name="bytes">Its size, at least 1.</param>
    /// <param name="hint">A name for it if it has none.</param>
    public string Of(int id, int bytes, string hint) =>
        id != 0 && types.SizeOf(id) == bytes && Find(id, hint) is { } known ? known : Plain(bytes);

    // Null for what has no counterpart.
    private string? Find(int id, string hint)
    {
        // An unnamed struct or enum goes by its typedef's name.
        var type = types[id];
        while (type is BtfModifier modifier)
        {
            if (modifier.Kind == BtfModifierKind.Typedef) hint = modifier.Name;
            type = types[modifier.TypeId];
        }
        return type switch
        {
            // Text: bytes, as Encoding takes them.
            BtfInteger { Name: "char" } => "byte",
            BtfInteger integer => Integer(integer.Size, (integer.Encoding & BtfIntegerEncoding.Signed) != 0, (integer.Encoding & BtfIntegerEncoding.Boolean) != 0),
            BtfFloat { Size: 4 } => "float",
            BtfFloat { Size: 8 } => "double",
            BtfPointer => "ulong",
            BtfEnum { Values.IsEmpty: false } constants => Enum(constants, hint),
            BtfEnum constants => Integer(constants.Size, constants.IsSigned, false),
            BtfStruct cell when InCell(cell) is { } value => Find(value, hint),
            BtfStruct { Size: > 0 } record => Struct(record, hint),
            BtfArray array when types.SizeOf(array.ElementTypeId) is > 0 and var size && array.Count is > 0 and < int.MaxValue =>
                Array(Of(array.ElementTypeId, (int)size, hint), array.Count),
            _ => null,
        };
    }

    /// <summary>The type in one of Rust's cells, such as the <c>Global</c> of uring_bpf.rs, which is all that they are; else null.</summary>
    private int? InCell(BtfStruct type)
    {
        var generic = type.Name.IndexOf('<', StringComparison.Ordinal);
        return generic > 0 && type.Name[..generic] is "Global" or "UnsafeCell" or "Cell"
            && type.Members is [{ BitOffset: 0, BitSize: 0 } only] && types.SizeOf(only.TypeId) == type.Size ? only.TypeId : null;
    }

    private string Plain(int bytes) => Integer(bytes, false, false) ?? Array("byte", bytes);

    private static string? Integer(int bytes, bool signed, bool boolean) => (bytes, signed) switch
    {
        (1, _) when boolean => "bool",
        (1, false) => "byte",
        (1, true) => "sbyte",
        (2, false) => "ushort",
        (2, true) => "short",
        (4, false) => "uint",
        (4, true) => "int",
        (8, false) => "ulong",
        (8, true) => "long",
        _ => null,
    };

    private string Array(string element, long count)
    {
        if (_arrays.TryGetValue((element, count), out var known)) return known;
        var name = _arrays[(element, count)] = _names.Add(string.Create(CultureInfo.InvariantCulture, $"{element}Array{count}"));
        _declarations.Add($$"""
            /// <summary>{{count}} elements; converts to a span.</summary>
            [global::System.Runtime.CompilerServices.InlineArray({{count}})]
            public struct {{name}}
            {
                private {{element}} _first;
            }

            """);
        return name;
    }

    private string Enum(BtfEnum type, string hint)
    {
        if (_structs.TryGetValue(type.Id, out var known)) return known;
        var name = _structs[type.Id] = _names.Add(type.Name.Length > 0 ? type.Name : hint);
        var underlying = Integer(type.Size, type.IsSigned, false)!;
        var text = new StringBuilder($"/// <summary>C: <c>{Escape(types.Format(type.Id))}</c>.</summary>\npublic enum {name} : {underlying}\n{{\n");
        var constantNames = new CSharpNames();
        foreach (var value in type.Values) text.Append(CultureInfo.InvariantCulture, $"    {constantNames.Keep(value.Name)} = unchecked(({underlying})({value.Value})),\n");
        _declarations.Add(text.Append("}\n").ToString());
        return name;
    }

    private string Struct(BtfStruct type, string hint)
    {
        if (_structs.TryGetValue(type.Id, out var known)) return known;
        var name = _structs[type.Id] = _names.Add(type.Name.Length > 0 ? type.Name : hint);
        var fields = new StringBuilder();
        AddFields(type, 0, name, new CSharpNames(name), fields);
        _declarations.Add($$"""
            /// <summary>C: <c>{{Escape(types.Format(type.Id))}}</c>, {{type.Size}} bytes.</summary>
            [global::System.Runtime.InteropServices.StructLayout(global::System.Runtime.InteropServices.LayoutKind.Explicit, Size = {{type.Size}})]
            public struct {{name}}
            {
            {{fields}}}

            """);
        return name;
    }

    // Members of unnamed structs and unions belong to the struct around them, as in C.
    private void AddFields(BtfStruct type, int at, string owner, CSharpNames names, StringBuilder fields)
    {
        foreach (var member in type.Members)
        {
            // Unnamed structs that hold one another twice each are 2^n members after n.
            if (++_fields > MostFields) throw new BadInputException($"the structs of the object have more than {MostFields} members: too many for a class.");
            var offset = at + member.BitOffset / 8;
            if (member.BitSize > 0)
            {
                if (member.Name.Length > 0) fields.Append(CultureInfo.InvariantCulture, $"    // Bit field {CSharpNames.OneLine(member.Name)}: {member.BitSize} bits from bit {member.BitOffset + 8 * at}.\n");
            }
            else if (member.Name.Length == 0 && types.Resolve(member.TypeId) is BtfStruct inner)
            {
                AddFields(inner, offset, owner, names, fields);
            }
            else if (types.SizeOf(member.TypeId) is > 0 and <= int.MaxValue and var size)
            {
                var field = names.Add(member.Name);
                fields.Append(CultureInfo.InvariantCulture, $"    /// <summary>C: <c>{Escape($"{types.Format(member.TypeId)} {member.Name}")}</c>.</summary>\n");
                fields.Append(CultureInfo.InvariantCulture, $"    [global::System.Runtime.InteropServices.FieldOffset({offset})] public {Of(member.TypeId, (int)size, owner + field)} {field};\n");
            }
        }
    }
}
