using System.Buffers.Binary;
using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>Reads BTF (Linux Documentation/bpf/btf.rst) into checked types.</summary>
internal sealed class BtfReader
{
    private const int HeaderSize = 24;
    private const ushort Magic = 0xeb9f;

    /// <summary>What reading BTF gives: the types, and the strings that .BTF.ext shares.</summary>
    public readonly record struct Result(BtfSpec Types, StringTable Strings);

    private enum Kind
    {
        Integer = 1, Pointer, Array, Struct, Union, Enum, Forward, Typedef, Volatile, Const, Restrict, Function, Prototype,
        Variable, DataSection, Float, DeclarationTag, TypeTag, Enum64,
    }

    private readonly ReadOnlyMemory<byte> _types;
    private readonly StringTable _strings;
    private int _at;
    private int _id;

    private BtfReader(ReadOnlyMemory<byte> types, StringTable strings)
    {
        _types = types;
        _strings = strings;
    }

    /// <summary>Reads a whole .BTF section.</summary>
    public static Result Read(ReadOnlyMemory<byte> bytes)
    {
        ReadHeader(bytes, out var types, out var strings);
        var reader = new BtfReader(types, strings);
        var all = reader.ReadTypes();
        BtfChecker.Check(all);
        return new Result(new BtfSpec(all), strings);
    }

    private static void ReadHeader(ReadOnlyMemory<byte> memory, out ReadOnlyMemory<byte> types, out StringTable table)
    {
        var bytes = memory.Span;
        if (bytes.Length < HeaderSize)
            throw new BpfException("UB1201", $"BTF of {bytes.Length} bytes: the header alone is {HeaderSize}.");
        var magic = BinaryPrimitives.ReadUInt16LittleEndian(bytes);
        if (magic != Magic)
            throw new BpfException("UB1201", $"BTF starts with {magic:x4}, not {Magic:x4}{(magic == 0x9feb ? ": it is big-endian" : "")}.");
        if (bytes[2] != 1)
            throw new BpfException("UB1202", $"BTF has version {bytes[2]}; only version 1 exists.");
        var headerSize = BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]);
        if (bytes[3] != 0 || headerSize < HeaderSize || headerSize > (uint)bytes.Length)
            throw new BpfException("UB1203", $"BTF header of {headerSize} bytes with flags {bytes[3]:x}: it must be {HeaderSize} or more, within the section, with flags 0.");
        if (bytes[HeaderSize..(int)headerSize].ContainsAnyExcept((byte)0))
            throw new BpfException("UB1203", "the BTF header is longer than this version knows and its unknown fields are not zero.");

        ulong body = (uint)bytes.Length - headerSize;
        ulong typeOffset = BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]);
        ulong typeLength = BinaryPrimitives.ReadUInt32LittleEndian(bytes[12..]);
        ulong stringOffset = BinaryPrimitives.ReadUInt32LittleEndian(bytes[16..]);
        ulong stringLength = BinaryPrimitives.ReadUInt32LittleEndian(bytes[20..]);
        if (typeOffset + typeLength > body || typeOffset % 4 != 0)
            throw new BpfException("UB1204", $"BTF types ({typeLength} bytes at {typeOffset}) lie outside the {body} bytes after the header, or are misaligned.");
        if (stringOffset + stringLength > body)
            throw new BpfException("UB1204", $"BTF strings ({stringLength} bytes at {stringOffset}) lie outside the {body} bytes after the header.");
        if (typeOffset < stringOffset + stringLength && stringOffset < typeOffset + typeLength)
            throw new BpfException("UB1204", "BTF types and strings overlap.");

        var strings = memory.Slice((int)(headerSize + stringOffset), (int)stringLength);
        if (strings.Length == 0 || strings.Span[0] != 0 || strings.Span[^1] != 0)
            throw new BpfException("UB1205", "the BTF strings do not start and end with a NUL byte.");
        types = memory.Slice((int)(headerSize + typeOffset), (int)typeLength);
        table = new StringTable(strings, "UB1209", "BTF strings");
    }

    private ImmutableArray<BtfType> ReadTypes()
    {
        var types = ImmutableArray.CreateBuilder<BtfType>();
        types.Add(new BtfVoid());
        while (_at < _types.Length)
        {
            _id = types.Count;
            types.Add(ReadType());
        }
        return types.DrainToImmutable();
    }

    private BtfType ReadType()
    {
        var name = Name();
        var info = Word();
        var sizeOrType = Word();
        var kind = (Kind)(info >> 24 & 0x1f);
        var count = (int)(info & 0xffff);
        var flag = info >> 31 != 0;
        if ((info & 0x60ff0000) != 0)
            throw new BpfException("UB1210", $"BTF type {_id}: its info word {info:x8} has reserved bits set.");
        if (flag && kind is not (Kind.Struct or Kind.Union or Kind.Enum or Kind.Enum64 or Kind.Forward or Kind.DeclarationTag or Kind.TypeTag))
            throw new BpfException("UB1210", $"BTF type {_id} ({kind}) has the kind flag, which it can't have.");
        if (count != 0 && kind is not (Kind.Struct or Kind.Union or Kind.Enum or Kind.Enum64 or Kind.Prototype or Kind.DataSection or Kind.Function))
            throw new BpfException("UB1210", $"BTF type {_id} ({kind}) has {count} members, but its kind has none.");

        return kind switch
        {
            Kind.Integer => Integer(name, sizeOrType),
            Kind.Float => Float(name, sizeOrType),
            Kind.Pointer => new BtfPointer(_id, Reference(sizeOrType)),
            Kind.Array => Array(),
            Kind.Struct or Kind.Union => Struct(name, kind == Kind.Union, sizeOrType, count, flag),
            Kind.Enum => Enum(name, sizeOrType, count, flag, wide: false),
            Kind.Enum64 => Enum(name, sizeOrType, count, flag, wide: true),
            Kind.Forward => new BtfForward(_id, name, flag),
            Kind.Typedef => new BtfModifier(_id, Required(name, kind), BtfModifierKind.Typedef, Reference(sizeOrType)),
            Kind.Volatile => new BtfModifier(_id, "", BtfModifierKind.Volatile, Reference(sizeOrType)),
            Kind.Const => new BtfModifier(_id, "", BtfModifierKind.Const, Reference(sizeOrType)),
            Kind.Restrict => new BtfModifier(_id, "", BtfModifierKind.Restrict, Reference(sizeOrType)),
            Kind.TypeTag => new BtfModifier(_id, Required(name, kind), BtfModifierKind.TypeTag, Reference(sizeOrType)),
            Kind.Function => new BtfFunction(_id, Required(name, kind), Linkage((uint)count), Reference(sizeOrType)),
            Kind.Prototype => Prototype(sizeOrType, count),
            Kind.Variable => new BtfVariable(_id, Required(name, kind), Linkage(Word()), Reference(sizeOrType)),
            Kind.DataSection => DataSection(Required(name, kind), sizeOrType, count),
            Kind.DeclarationTag => new BtfDeclarationTag(_id, Required(name, kind), Reference(sizeOrType), (int)Word()),
            _ => throw new BpfException("UB1207", $"BTF type {_id} has kind {(int)kind}, which is unknown: the object is damaged or newer than this library."),
        };
    }

    private BtfInteger Integer(string name, uint size)
    {
        var data = Word();
        var encoding = data >> 24;
        var bitOffset = (int)(data >> 16 & 0xff);
        var bits = (int)(data & 0xff);
        if (size is not (1 or 2 or 4 or 8 or 16) || (data & 0xff00) != 0 || bits == 0 || bitOffset + bits > size * 8 || encoding is not (0 or 1 or 2 or 4))
            throw new BpfException("UB1212", $"BTF type {_id} '{name}': an integer of {size} bytes with {bits} bits at bit {bitOffset} and encoding {encoding} is not possible.");
        return new BtfInteger(_id, name, (int)size, (BtfIntegerEncoding)encoding, bitOffset, bits);
    }

    private BtfFloat Float(string name, uint size) => size is 2 or 4 or 8 or 12 or 16
        ? new BtfFloat(_id, name, (int)size)
        : throw new BpfException("UB1212", $"BTF type {_id} '{name}': a float of {size} bytes is not possible.");

    private BtfArray Array()
    {
        var element = Reference(Word());
        var index = Reference(Word());
        return new BtfArray(_id, element, index, Word());
    }

    private BtfStruct Struct(string name, bool isUnion, uint size, int count, bool hasBitFields)
    {
        var bytes = Size(size);
        var members = Entries<BtfMember>(count, 3);
        for (var i = 0; i < count; i++)
        {
            var member = Name();
            var type = Reference(Word());
            var offset = Word();
            // With the kind flag the upper byte of the offset is the width of a bit field.
            members.Add(hasBitFields
                ? new BtfMember(member, type, (int)(offset & 0xffffff), (int)(offset >> 24))
                : new BtfMember(member, type, Size(offset), 0));
        }
        return new BtfStruct(_id, name, isUnion, bytes, members.MoveToImmutable());
    }

    private BtfEnum Enum(string name, uint size, int count, bool isSigned, bool wide)
    {
        if (size is not (1 or 2 or 4 or 8))
            throw new BpfException("UB1212", $"BTF type {_id} '{name}': an enum of {size} bytes is not possible.");
        var values = Entries<BtfEnumerator>(count, wide ? 3 : 2);
        for (var i = 0; i < count; i++)
        {
            var constant = Name();
            var low = Word();
            long value = wide ? (long)(low | (ulong)Word() << 32) : isSigned ? (int)low : low;
            values.Add(new BtfEnumerator(constant, value));
        }
        return new BtfEnum(_id, name, (int)size, isSigned, values.MoveToImmutable());
    }

    private BtfPrototype Prototype(uint returnType, int count)
    {
        var parameters = Entries<BtfParameter>(count, 2);
        for (var i = 0; i < count; i++) parameters.Add(new BtfParameter(Name(), Reference(Word())));
        return new BtfPrototype(_id, Reference(returnType), parameters.MoveToImmutable());
    }

    private BtfDataSection DataSection(string name, uint size, int count)
    {
        var variables = Entries<BtfSectionVariable>(count, 3);
        for (var i = 0; i < count; i++) variables.Add(new BtfSectionVariable(Reference(Word()), Size(Word()), Size(Word())));
        return new BtfDataSection(_id, name, Size(size), variables.MoveToImmutable());
    }

    private BtfLinkage Linkage(uint value) => value <= (uint)BtfLinkage.Extern
        ? (BtfLinkage)value
        : throw new BpfException("UB1210", $"BTF type {_id} has linkage {value}; it is 0 (static), 1 (global) or 2 (extern).");

    private string Required(string name, Kind kind) => name.Length > 0
        ? name
        : throw new BpfException("UB1209", $"BTF type {_id} ({kind}) has no name, but its kind must have one.");

    // Sizes, counts and offsets above 2 GiB describe nothing that could be loaded.
    private int Size(uint value) => value <= int.MaxValue
        ? (int)value
        : throw new BpfException("UB1212", $"BTF type {_id}: a size, count or offset of {value} is out of range.");

    // How many types there are is known only at the end: BtfChecker checks that the id exists.
    private int Reference(uint id) => id <= int.MaxValue
        ? (int)id
        : throw new BpfException("UB1208", $"BTF type {_id} refers to type {id}, which does not exist.");

    private ImmutableArray<T>.Builder Entries<T>(int count, int words)
    {
        if (count * words * 4 > _types.Length - _at)
            throw new BpfException("UB1206", $"BTF type {_id} has {count} members, but the type section ends before them.");
        return ImmutableArray.CreateBuilder<T>(count);
    }

    private string Name() => _strings.Get(Word());

    private uint Word()
    {
        if (_types.Length - _at < 4)
            throw new BpfException("UB1206", $"BTF type {_id} is cut short by the end of the type section.");
        var value = BinaryPrimitives.ReadUInt32LittleEndian(_types.Span[_at..]);
        _at += 4;
        return value;
    }
}
