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
        var ids = new List<int>();
        foreach (var type in types)
        {
            ids.Clear();
            AddAll(type, ids);
            CheckReferences(types, type, ids);
        }
        // A struct may point to itself, so what a type contains and what it names are two graphs. Pointers end the
        // first, members are left out of the second; a cycle in either would have no end.
        new DepthCheck(types, "contains", AddContained).Run();
        new DepthCheck(types, "names", AddNamed).Run();
        foreach (var type in types.OfType<BtfStruct>()) CheckMembers(type);
    }

    private static void CheckReferences(ImmutableArray<BtfType> types, BtfType type, List<int> ids)
    {
        foreach (var id in ids)
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

    private static void AddAll(BtfType type, List<int> ids)
    {
        switch (type)
        {
            case BtfStruct all:
                foreach (var member in all.Members) ids.Add(member.TypeId);
                break;
            case BtfDataSection all:
                foreach (var variable in all.Variables) ids.Add(variable.TypeId);
                break;
            case BtfDeclarationTag all: ids.Add(all.TypeId); break;
            default: AddNamed(type, ids); break;
        }
    }

    private static void AddContained(BtfType type, List<int> ids)
    {
        switch (type)
        {
            case BtfModifier all: ids.Add(all.TypeId); break;
            case BtfArray all: ids.Add(all.ElementTypeId); break;
            case BtfStruct all:
                foreach (var member in all.Members) ids.Add(member.TypeId);
                break;
            case BtfVariable all: ids.Add(all.TypeId); break;
        }
    }

    private static void AddNamed(BtfType type, List<int> ids)
    {
        switch (type)
        {
            case BtfPointer all: ids.Add(all.TypeId); break;
            case BtfModifier all: ids.Add(all.TypeId); break;
            case BtfArray all:
                ids.Add(all.ElementTypeId);
                ids.Add(all.IndexTypeId);
                break;
            case BtfFunction all: ids.Add(all.TypeId); break;
            case BtfVariable all: ids.Add(all.TypeId); break;
            case BtfPrototype all:
                ids.Add(all.ReturnTypeId);
                foreach (var parameter in all.Parameters) ids.Add(parameter.TypeId);
                break;
        }
    }

    /// <summary>Depth-first, each type once: the stack is never deeper than the limit.</summary>
    private sealed class DepthCheck(ImmutableArray<BtfType> types, string relation, Action<BtfType, List<int>> edges)
    {
        private readonly byte[] _depth = new byte[types.Length];
        // What the types on the way down refer to, one after the other's.
        private readonly List<int> _ids = [];

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
                var first = _ids.Count;
                edges(types[id], _ids);
                var end = _ids.Count;
                for (var i = first; i < end; i++) below = Math.Max(below, Visit(_ids[i], level + 1));
                _ids.RemoveRange(first, end - first);
            }
            if (level > MaxDepth || below > MaxDepth)
                throw new BpfException("UB1211", $"BTF type {id} '{types[id].Name}' {relation} itself, or is nested more than {MaxDepth} deep.");
            return _depth[id] = (byte)(below + 1);
        }
    }
}
