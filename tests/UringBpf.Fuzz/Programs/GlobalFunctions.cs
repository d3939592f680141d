using System.Collections.Immutable;
using UringBpf.Bytecode;

namespace UringBpf.Fuzz;

/// <summary>Functions with external linkage and the types that say what they take: the verifier verifies them by these alone.</summary>
public static class GlobalFunctions
{
    /// <summary>What a global function takes.</summary>
    public enum Signature
    {
        /// <summary>(long, memory of <see cref="BlockBytes"/> that is not NULL, long).</summary>
        Block,
        /// <summary>(context, memory of <see cref="Scenery.InnerBytes"/> or NULL, long).</summary>
        Context,
    }

    /// <summary>Bytes of memory handed to a function.</summary>
    public const int BlockBytes = 32;

    private const int Long = 1, Block = 2, ToBlock = 3, Value = 4, ToValue = 5, Context = 6, ToContext = 7;

    /// <summary>The program with its functions told: where each starts, and what the global ones take.</summary>
    public static ProgramSpec Describe(ProgramSpec spec, IReadOnlyList<(int Start, Signature? Global)> functions)
    {
        List<BtfType> types =
        [
            new BtfVoid(), new BtfInteger(Long, "long", 8, BtfIntegerEncoding.Signed, 0, 64),
            new BtfStruct(Block, "block", false, BlockBytes, []), new BtfPointer(ToBlock, Block),
            new BtfStruct(Value, "value", false, Scenery.InnerBytes, []), new BtfPointer(ToValue, Value),
            new BtfStruct(Context, "context", false, 8, []), new BtfPointer(ToContext, Context),
        ];
        var subprograms = functions.Select((function, index) =>
        {
            var end = index + 1 < functions.Count ? functions[index + 1].Start : spec.Instructions.Length;
            var name = index == 0 ? spec.Name : $"f{index}";
            var id = function.Global is { } signature ? Add(types, name, signature) : 0;
            return new Subprogram(name, function.Start, end - function.Start, id > 0, id);
        }).ToImmutableArray();
        return spec with { Subprograms = subprograms, Types = new BtfSpec([.. types]) };
    }

    private static int Add(List<BtfType> types, string name, Signature signature)
    {
        types.Add(new BtfPrototype(types.Count, Long, signature == Signature.Block
            ? [new("number", Long), new("block", ToBlock), new("other", Long)]
            : [new("context", ToContext), new("value", ToValue), new("number", Long)]));
        var id = types.Count;
        types.Add(new BtfFunction(id, name, BtfLinkage.Global, id - 1));
        types.Add(signature == Signature.Block ? new BtfDeclarationTag(id + 1, "arg:nonnull", id, 1) : new BtfDeclarationTag(id + 1, "arg:ctx", id, 0));
        return id;
    }
}
