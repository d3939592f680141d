using UringBpf.Runtime;

namespace UringBpf.Compiler;

/// <summary>
/// A function cut into regions of consecutive blocks, each small enough that RyuJIT optimises it fully. A region is a
/// method (ulong* registers, int block, ulong stackTop, ExecutionState* state) → the block to go on at, or -1 to return.
/// </summary>
internal sealed unsafe class RegionPlan
{
    /// <summary>What a region returns when its function returns.</summary>
    public const int Return = -1;

    public static readonly Type[] ParameterTypes = [typeof(ulong*), typeof(int), typeof(ulong), typeof(ExecutionState*)];

    private readonly int[] _regionOfBlock;
    private readonly RegionSlots? _slots;

    public RegionPlan(ProgramGraph program, FunctionGraph function, CompilerOptions options)
    {
        _regionOfBlock = new int[function.Blocks.Count];
        var region = new List<BasicBlock>();
        var size = new MethodSize();
        foreach (var block in function.Blocks)
        {
            var more = MethodSize.Of(program, block);
            if (region.Count > 0 && !(size + more).Fits(options.RegionInstructions))
            {
                Regions.Add(region);
                region = [];
                size = new MethodSize();
            }
            _regionOfBlock[block.Index] = Regions.Count;
            region.Add(block);
            size += more;
        }
        Regions.Add(region);
        if (options.StackSlotsInLocals) _slots = new RegionSlots(program, function, options);
    }

    /// <summary>The blocks of each region.</summary>
    public List<List<BasicBlock>> Regions { get; } = [];

    /// <summary>The stack slots that live in locals in a region; null where none do.</summary>
    public RegionStack? Stack(int region) => _slots?.Of(Regions[region]);

    /// <summary>The blocks of a region that are entered from outside it: its first function's entry and targets of others' jumps.</summary>
    public IEnumerable<BasicBlock> Entries(int region) => Regions[region].Where(block =>
        block.Index == 0 || block.Predecessors.Any(from => _regionOfBlock[from.Index] != region));
}
