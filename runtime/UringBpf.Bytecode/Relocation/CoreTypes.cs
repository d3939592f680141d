namespace UringBpf.Bytecode;

/// <summary>When two types count as the same for CO-RE: libbpf's rules, which overlook what a program does not depend on.</summary>
internal static class CoreTypes
{
    private const int MaxDepth = 32;

    /// <summary>A name without its flavour, the part after the last <c>___</c>: <c>task_struct___old</c> is a <c>task_struct</c>.</summary>
    public static string EssentialName(string name)
    {
        var essential = Essential(name);
        return essential.Length == name.Length ? name : essential.ToString();
    }

    /// <summary>As <see cref="EssentialName"/>, not copied.</summary>
    public static ReadOnlySpan<char> Essential(ReadOnlySpan<char> name)
    {
        for (var i = name.Length - 5; i >= 0; i--)
        {
            if (name[i] != '_' && name.Slice(i + 1, 3).SequenceEqual("___") && name[i + 4] != '_') return name[..(i + 1)];
        }
        return name;
    }

    /// <summary>True when both are structs, both unions, both enums of any width, and so on.</summary>
    public static bool SameKind(BtfType local, BtfType target) => (local, target) switch
    {
        (BtfStruct a, BtfStruct b) => a.IsUnion == b.IsUnion,
        (BtfModifier a, BtfModifier b) => a.Kind == b.Kind,
        _ => local.GetType() == target.GetType(),
    };

    /// <summary>Two root types: the kinds fit all the way down; sizes and names of what they contain do not matter.</summary>
    public static bool AreCompatible(BtfSpec localTypes, int localId, BtfSpec targetTypes, int targetId, CoreBudget budget, int depth = MaxDepth)
    {
        budget.Spend();
        var local = localTypes.Resolve(localId);
        var target = targetTypes.Resolve(targetId);
        if (depth == 0 || !SameKind(local, target)) return false;
        bool Recur(int a, int b) => AreCompatible(localTypes, a, targetTypes, b, budget, depth - 1);
        return (local, target) switch
        {
            (BtfVoid or BtfStruct or BtfEnum or BtfForward, _) => true,
            (BtfInteger a, BtfInteger b) => a.BitOffset == 0 && b.BitOffset == 0,
            (BtfPointer a, BtfPointer b) => Recur(a.TypeId, b.TypeId),
            (BtfArray a, BtfArray b) => Recur(a.ElementTypeId, b.ElementTypeId),
            (BtfPrototype a, BtfPrototype b) => SameParameters(a, b, Recur),
            _ => false,
        };
    }

    /// <summary>Two fields: any structs, any pointers, any integers, enums of the same name.</summary>
    public static bool AreCompatibleFields(BtfSpec localTypes, int localId, BtfSpec targetTypes, int targetId, CoreBudget budget) =>
        (localTypes.Resolve(localId), targetTypes.Resolve(targetId)) switch
        {
            (BtfStruct, BtfStruct) or (BtfPointer, BtfPointer) or (BtfFloat, BtfFloat) => true,
            (BtfForward a, BtfForward b) => SameOrNoName(a.Name, b.Name, budget),
            (BtfEnum a, BtfEnum b) => SameOrNoName(a.Name, b.Name, budget),
            (BtfInteger a, BtfInteger b) => a.BitOffset == 0 && b.BitOffset == 0,
            (BtfArray a, BtfArray b) => AreCompatibleFields(localTypes, a.ElementTypeId, targetTypes, b.ElementTypeId, budget),
            _ => false,
        };

    /// <summary>Two root types in full: what the local one has, the target has, by name and with the same layout of its parts.</summary>
    public static bool Match(BtfSpec localTypes, int localId, BtfSpec targetTypes, int targetId, CoreBudget budget, bool behindPointer = false, int depth = MaxDepth)
    {
        var local = localTypes.Resolve(localId);
        var target = targetTypes.Resolve(targetId);
        if (depth == 0 || !budget.IsSameName(local.Name, target.Name)) return false;
        bool Recur(int a, int b) => Match(localTypes, a, targetTypes, b, budget, behindPointer, depth - 1);
        return (local, target) switch
        {
            (BtfVoid, BtfVoid) => true,
            (BtfForward a, BtfForward b) => a.IsUnion == b.IsUnion,
            (BtfForward a, BtfStruct b) => behindPointer && a.IsUnion == b.IsUnion,
            (BtfStruct a, BtfForward b) => behindPointer && a.IsUnion == b.IsUnion,
            (BtfStruct a, BtfStruct b) => a.IsUnion == b.IsUnion && (behindPointer || SameMembers(a, b, budget, Recur)),
            (BtfEnum a, BtfEnum b) => a.Size == b.Size && SameEnumerators(a, b, budget),
            (BtfInteger a, BtfInteger b) => a.Size == b.Size && (a.Encoding & BtfIntegerEncoding.Signed) == (b.Encoding & BtfIntegerEncoding.Signed),
            (BtfPointer a, BtfPointer b) => Match(localTypes, a.TypeId, targetTypes, b.TypeId, budget, behindPointer: true, depth - 1),
            (BtfArray a, BtfArray b) => a.Count == b.Count && Recur(a.ElementTypeId, b.ElementTypeId),
            (BtfPrototype a, BtfPrototype b) => SameParameters(a, b, Recur),
            _ => false,
        };
    }

    private static bool SameParameters(BtfPrototype local, BtfPrototype target, Func<int, int, bool> same)
    {
        if (local.Parameters.Length != target.Parameters.Length) return false;
        for (var i = 0; i < local.Parameters.Length; i++)
        {
            if (!same(local.Parameters[i].TypeId, target.Parameters[i].TypeId)) return false;
        }
        return same(local.ReturnTypeId, target.ReturnTypeId);
    }

    private static bool SameMembers(BtfStruct local, BtfStruct target, CoreBudget budget, Func<int, int, bool> same) =>
        local.Members.Length <= target.Members.Length
        && local.Members.All(a => target.Members.Any(b => budget.IsSameName(a.Name, b.Name) && same(a.TypeId, b.TypeId)));

    private static bool SameEnumerators(BtfEnum local, BtfEnum target, CoreBudget budget) =>
        local.Values.Length <= target.Values.Length
        && local.Values.All(a => target.Values.Any(b => budget.IsSameName(a.Name, b.Name)));

    private static bool SameOrNoName(string local, string target, CoreBudget budget) => local.Length == 0 || target.Length == 0 || budget.IsSameName(local, target);
}
