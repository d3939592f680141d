using System.Collections.Immutable;

namespace UringBpf.Bytecode;

/// <summary>
/// Checks what the types say about each other: ids exist, kinds fit, and no type contains or names itself without end.
/// After it, following references terminates within <see cref="MaxDepth"/> steps, so plain recursion is safe.
/// </summary>
internal static class BtfChecker
{
    /// <summary>The longest chain of references or of nesting; the kernel's own limit is 32.</summary>
    public const int MaxDepth = 64;

    public static void Check(ImmutableArray<BtfType> types)
    {
        foreach (var type in types) CheckReferences(types, type);
        // A struct may point to itself, so what a type contains and what it names are two graphs. Pointers end the
        // first, members are left out of the second; a cycle in either would have no end.
        new DepthCheck(types, "contains", Contained).Run();
        new DepthCheck(types, "names", Named).Run();
        foreach (var type in types.OfType<BtfStruct>()) CheckMembers(type);
    }

    private static void CheckReferences(ImmutableArray<BtfType> types, BtfType type)
    {
        foreach (var id in All(type))
        {
            if ((uint)id >= (uint)types.Length)
                throw new BpfException("UB1208", $"BTF type {type.Id} '{type.Name}' refers to type {id}, but there are {types.Length}.");
            var target = types[id];
            var fits = type switch
            {
                BtfFunction => target is BtfPrototype,
                BtfDataSection => target is BtfVariable or BtfFunction,
                BtfDeclarationTag => target is BtfStruct or BtfFunction or BtfVariable or BtfModifier { Kind: BtfModifierKind.Typedef },
                _ => target is not (BtfDataSection or BtfVariable or BtfFunction or BtfDeclarationTag),
            };
            if (!fits)
                throw new BpfException("UB1208", $"BTF type {type.Id} '{type.Name}' refers to type {id} '{target.Name}', which is of a kind it can't refer to.");
        }
    }

    private static void CheckMembers(BtfStruct type)
    {
        foreach (var member in type.Members)
        {
            if (member.BitOffset + (long)member.BitSize > type.Size * 8L)
                throw new BpfException("UB1213", $"BTF type {type.Id} '{type.Name}': member '{member.Name}' at bit {member.BitOffset} lies past its {type.Size} bytes.");
        }
    }

    private static IEnumerable<int> All(BtfType type) => type switch
    {
        BtfStruct all => all.Members.Select(member => member.TypeId),
        BtfDataSection all => all.Variables.Select(variable => variable.TypeId),
        BtfDeclarationTag all => [all.TypeId],
        _ => Named(type),
    };

    private static IEnumerable<int> Contained(BtfType type) => type switch
    {
        BtfModifier all => [all.TypeId],
        BtfArray all => [all.ElementTypeId],
        BtfStruct all => all.Members.Select(member => member.TypeId),
        BtfVariable all => [all.TypeId],
        _ => [],
    };

    private static IEnumerable<int> Named(BtfType type) => type switch
    {
        BtfPointer all => [all.TypeId],
        BtfModifier all => [all.TypeId],
        BtfArray all => [all.ElementTypeId, all.IndexTypeId],
        BtfFunction all => [all.TypeId],
        BtfVariable all => [all.TypeId],
        BtfPrototype all => all.Parameters.Select(parameter => parameter.TypeId).Prepend(all.ReturnTypeId),
        _ => [],
    };

    /// <summary>Depth-first, each type once: the stack is never deeper than the limit.</summary>
    private sealed class DepthCheck(ImmutableArray<BtfType> types, string relation, Func<BtfType, IEnumerable<int>> edges)
    {
        private readonly byte[] _depth = new byte[types.Length];

        public void Run()
        {
            for (var id = 0; id < types.Length; id++) Visit(id, 0);
        }

        private int Visit(int id, int level)
        {
            if (_depth[id] != 0) return _depth[id];
            var below = 0;
            if (level <= MaxDepth)
            {
                foreach (var next in edges(types[id])) below = Math.Max(below, Visit(next, level + 1));
            }
            if (level > MaxDepth || below > MaxDepth)
                throw new BpfException("UB1211", $"BTF type {id} '{types[id].Name}' {relation} itself, or is nested more than {MaxDepth} deep.");
            return _depth[id] = (byte)(below + 1);
        }
    }
}
