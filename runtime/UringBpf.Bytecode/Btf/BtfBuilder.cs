using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>Puts types together in memory. Integers are shared; ids are given in order.</summary>
internal sealed class BtfBuilder
{
    private readonly ImmutableArray<BtfType>.Builder _types = ImmutableArray.CreateBuilder<BtfType>();
    private readonly Dictionary<string, int> _byName = [];

    public BtfBuilder() => _types.Add(new BtfVoid());

    /// <summary>An integer under the kernel's name for it, such as <c>__u32</c>.</summary>
    public int Integer(int size, bool isSigned)
    {
        // The names under which clang records the kernel's fixed-size types.
        var name = size switch { 1 => "char", 2 => "short", 4 => "int", _ => "long long" };
        var cName = isSigned ? name : "unsigned " + name;
        if (size == 1 && isSigned) cName = "signed char";
        var alias = $"__{(isSigned ? 's' : 'u')}{size * 8}";
        if (_byName.TryGetValue(alias, out var known)) return known;
        var integer = Add(id => new BtfInteger(id, cName, size, isSigned ? BtfIntegerEncoding.Signed : BtfIntegerEncoding.None, 0, size * 8));
        return _byName[alias] = Add(id => new BtfModifier(id, alias, BtfModifierKind.Typedef, integer));
    }

    public int Pointer(int typeId) => Add(id => new BtfPointer(id, typeId));

    public int Array(int elementTypeId, int count)
    {
        var index = Integer(4, isSigned: false);
        return Add(id => new BtfArray(id, elementTypeId, index, (uint)count));
    }

    /// <summary>A struct of members at byte offsets.</summary>
    public int Struct(string name, int size, IEnumerable<(string Name, int Offset, int TypeId)> members)
    {
        ImmutableArray<BtfMember> all = [.. members.Select(member => new BtfMember(member.Name, member.TypeId, member.Offset * 8, 0))];
        return Add(id => new BtfStruct(id, name, false, size, all));
    }

    /// <summary>Checks the types as the reader does.</summary>
    public BtfSpec Build()
    {
        var types = _types.ToImmutable();
        BtfChecker.Check(types);
        return new BtfSpec(types);
    }

    private int Add(Func<int, BtfType> make)
    {
        _types.Add(make(_types.Count));
        return _types.Count - 1;
    }
}
