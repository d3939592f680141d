using System.Globalization;

namespace UringBpf.Bytecode;

/// <summary>One step of an access: a named member, or an array element.</summary>
/// <param name="TypeId">The struct that has the member, or the element's type; modifiers removed.</param>
/// <param name="Index">Which member or element.</param>
/// <param name="Name">The member's name, or null for elements.</param>
internal readonly record struct CoreStep(int TypeId, int Index, string? Name);

/// <summary>
/// What a CO-RE relocation refers to, as the local types describe it or as it was found again in the target's: a type,
/// an enumerator, or a field reached through members and elements. Anonymous structs and unions on the way are not steps:
/// a target may arrange those differently.
/// </summary>
internal sealed class CoreAccess
{
    // libbpf's BPF_CORE_SPEC_MAX_LEN.
    private const int MaxSteps = 64;
    // Keeps the sum of 64 steps within 64 bits.
    private const int MaxIndex = 1 << 20;

    private CoreAccess(BtfSpec types, int rootTypeId)
    {
        Types = types;
        RootTypeId = rootTypeId;
    }

    public BtfSpec Types { get; }
    public int RootTypeId { get; }
    public List<CoreStep> Steps { get; } = [];
    public long BitOffset { get; private set; }

    /// <summary>Reads an access string such as <c>0:2:1</c> against the types the program was compiled with.</summary>
    /// <exception cref="BpfException">UB1224 when it does not fit them.</exception>
    public static CoreAccess Parse(BtfSpec types, in CoreRelocationRecord relocation)
    {
        var access = new CoreAccess(types, relocation.TypeId);
        var kind = (CoreRelocationKind)relocation.Kind;
        if (IsAboutTypes(kind)) return relocation.Access == "0" ? access : throw Malformed(relocation);

        var indices = ParseIndices(relocation);
        if (kind is CoreRelocationKind.EnumeratorExists or CoreRelocationKind.EnumeratorValue)
        {
            if (types.Resolve(relocation.TypeId) is not BtfEnum values || indices.Length != 1 || indices[0] >= values.Values.Length) throw Malformed(relocation);
            access.Steps.Add(new CoreStep(values.Id, indices[0], values.Values[indices[0]].Name));
            return access;
        }
        if (!access.TryAddElement(types.Resolve(relocation.TypeId), indices[0])) throw Malformed(relocation);
        var type = types.Resolve(relocation.TypeId);
        foreach (var index in indices.AsSpan(1))
        {
            if (access.TryStep(type, index) is not { } next) throw Malformed(relocation);
            type = next;
        }
        return access;
    }

    /// <summary>The same access in another set of types, or null when it has no counterpart there.</summary>
    /// <exception cref="BpfException">UB1226 when there are too many ways to look for it.</exception>
    public CoreAccess? FindIn(BtfSpec target, int rootTypeId, CoreRelocationKind kind, CoreBudget budget)
    {
        var found = new CoreAccess(target, rootTypeId);
        if (kind == CoreRelocationKind.TypeMatches) return CoreTypes.Match(Types, RootTypeId, target, rootTypeId, budget) ? found : null;
        if (IsAboutTypes(kind)) return CoreTypes.AreCompatible(Types, RootTypeId, target, rootTypeId, budget) ? found : null;

        var type = target.Resolve(rootTypeId);
        if (kind is CoreRelocationKind.EnumeratorExists or CoreRelocationKind.EnumeratorValue)
        {
            if (type is not BtfEnum values) return null;
            for (var i = 0; i < values.Values.Length; i++)
            {
                if (!budget.IsSameName(Steps[0].Name!, values.Values[i].Name)) continue;
                found.Steps.Add(new CoreStep(values.Id, i, values.Values[i].Name));
                return found;
            }
            return null;
        }

        for (var i = 0; i < Steps.Count; i++)
        {
            var step = Steps[i];
            var next = step.Name is not null ? found.FindMember(this, step, type, budget)
                : i == 0 ? type
                : type is BtfArray array && found.Allows(array, step.Index) ? target.Resolve(array.ElementTypeId)
                : null;
            if (next is null || (step.Name is null && !found.TryAddElement(next, step.Index))) return null;
            type = next;
        }
        return found;
    }

    private static bool IsAboutTypes(CoreRelocationKind kind) => kind
        is CoreRelocationKind.TypeIdLocal or CoreRelocationKind.TypeIdTarget or CoreRelocationKind.TypeExists or CoreRelocationKind.TypeSize or CoreRelocationKind.TypeMatches;

    private static int[] ParseIndices(in CoreRelocationRecord relocation)
    {
        // An access string may be as long as the string table: look no further than a whole one could reach.
        if (relocation.Access.Length > MaxSteps * 11) throw Malformed(relocation);
        var parts = relocation.Access.Split(':');
        if (parts.Length > MaxSteps) throw Malformed(relocation);
        var indices = new int[parts.Length];
        for (var i = 0; i < parts.Length; i++)
        {
            if (!int.TryParse(parts[i], NumberStyles.None, CultureInfo.InvariantCulture, out indices[i]) || indices[i] > MaxIndex) throw Malformed(relocation);
        }
        return indices;
    }

    // One index of an access string: a member, which is a step only if it has a name, or an element.
    private BtfType? TryStep(BtfType type, int index)
    {
        switch (type)
        {
            case BtfStruct all when index < all.Members.Length:
                var member = all.Members[index];
                BitOffset += member.BitOffset;
                if (member.Name.Length > 0) Steps.Add(new CoreStep(all.Id, index, member.Name));
                return Types.Resolve(member.TypeId);
            case BtfArray array when Allows(array, index):
                var element = Types.Resolve(array.ElementTypeId);
                return TryAddElement(element, index) ? element : null;
            default:
                return null;
        }
    }

    private bool TryAddElement(BtfType element, int index)
    {
        var size = Types.SizeOf(element.Id);
        if (size < 0) return false;
        Steps.Add(new CoreStep(element.Id, index, null));
        BitOffset += index * size * 8;
        return true;
    }

    // Any element of a flexible array exists: an array of no elements at the end of a struct.
    private bool Allows(BtfArray array, int index) => index < array.Count
        || (array.Count == 0 && Steps[^1] is { Name: not null } holder && holder.Index == ((BtfStruct)Types[holder.TypeId]).Members.Length - 1);

    private BtfType? FindMember(CoreAccess local, CoreStep wanted, BtfType type, CoreBudget budget)
    {
        if (type is not BtfStruct all) return null;
        for (var i = 0; i < all.Members.Length; i++)
        {
            budget.Spend();
            var member = all.Members[i];
            if (member.Name.Length == 0)
            {
                BitOffset += member.BitOffset;
                if (FindMember(local, wanted, Types.Resolve(member.TypeId), budget) is { } inner) return inner;
                BitOffset -= member.BitOffset;
            }
            else if (member.Name == wanted.Name)
            {
                var localMember = ((BtfStruct)local.Types[wanted.TypeId]).Members[wanted.Index];
                if (!CoreTypes.AreCompatibleFields(local.Types, localMember.TypeId, Types, member.TypeId, budget)) return null;
                BitOffset += member.BitOffset;
                Steps.Add(new CoreStep(all.Id, i, member.Name));
                return Types.Resolve(member.TypeId);
            }
        }
        return null;
    }

    private static BpfException Malformed(in CoreRelocationRecord relocation) =>
        new("UB1224", $".BTF.ext: the CO-RE relocation at byte {relocation.Offset} of kind {relocation.Kind} has the access string '{StringTable.Shorten(relocation.Access)}', which does not fit type {relocation.TypeId}.");
}
