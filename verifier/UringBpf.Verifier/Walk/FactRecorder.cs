using System.Collections.Immutable;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Verifier;

/// <summary>Collects, per instruction, what holds on every path that was walked.</summary>
internal sealed class FactRecorder
{
    private const int NoMap = -1;

    private readonly InstructionFacts[] _facts;

    public FactRecorder(int count)
    {
        _facts = GC.AllocateUninitializedArray<InstructionFacts>(count);
        var unknown = new InstructionFacts { Map = NoMap, ConstantKey = -1, DestinationMax = ulong.MaxValue, SourceMax = ulong.MaxValue };
        Array.Fill(_facts, unknown);
    }

    /// <summary>The facts, which nothing may be recorded into any more.</summary>
    public ImmutableArray<InstructionFacts> Finish() => ImmutableCollectionsMarshal.AsImmutableArray(_facts);

    /// <summary>Adds what another walk found: of instructions that both reached, what holds in both.</summary>
    /// <param name="other">The other walk's.</param>
    /// <param name="differs">Told of instructions that access the context, or one place of it, in one of them only.</param>
    public void Merge(FactRecorder other, Action<int> differs)
    {
        for (var slot = 0; slot < _facts.Length; slot++)
        {
            ref readonly var theirs = ref other._facts[slot];
            if (!theirs.Reached) continue;
            ref var facts = ref _facts[slot];
            if (!facts.Reached)
            {
                facts = theirs;
                continue;
            }
            if ((facts.Region == RegionKind.Context) != (theirs.Region == RegionKind.Context)
                || facts.Region == RegionKind.Context && (facts.OffsetMin, facts.OffsetMax) != (theirs.OffsetMin, theirs.OffsetMax))
            {
                differs(slot);
            }
            Access(slot, false, theirs.Region, theirs.Map, theirs.OffsetMin, theirs.OffsetMax);
            if (facts.ConstantKey != theirs.ConstantKey || facts.Map == NoMap) facts.ConstantKey = -1;
            facts.DestinationMin = Math.Min(facts.DestinationMin, theirs.DestinationMin);
            facts.DestinationMax = Math.Max(facts.DestinationMax, theirs.DestinationMax);
            facts.SourceMin = Math.Min(facts.SourceMin, theirs.SourceMin);
            facts.SourceMax = Math.Max(facts.SourceMax, theirs.SourceMax);
            facts.DivisorNonZero &= theirs.DivisorNonZero;
            facts.NoDivideOverflow &= theirs.NoDivideOverflow;
            facts.MayJump |= theirs.MayJump;
            facts.MayFallThrough |= theirs.MayFallThrough;
        }
    }

    public bool IsReached(int slot) => _facts[slot].Reached;

    /// <summary>Operand ranges and divisor facts, before the instruction.</summary>
    public void Operands(int slot, OpcodeRow row, Value? destination, Value? source)
    {
        ref var facts = ref _facts[slot];
        var first = !facts.Reached;
        Range(destination, first, ref facts.DestinationMin, ref facts.DestinationMax);
        Range(source, first, ref facts.SourceMin, ref facts.SourceMax);
        if (row.Operation is Operation.Divide or Operation.Modulo or Operation.SignedDivide or Operation.SignedModulo)
        {
            var (nonZero, noOverflow) = (false, false);
            if (destination is { IsNumber: true } && source is { IsNumber: true })
            {
                var (dividend, divisor) = (destination.Number, source.Number);
                if (row.Width == 64)
                {
                    nonZero = !divisor.Contains(0);
                    noOverflow = !divisor.Contains(ulong.MaxValue) || !dividend.Contains(1UL << 63);
                }
                else
                {
                    nonZero = !divisor.Truncate(32).Contains(0);
                    noOverflow = !divisor.Truncate(32).Contains(uint.MaxValue) || !dividend.Truncate(32).Contains(1UL << 31);
                }
            }
            facts.DivisorNonZero = nonZero && (first || facts.DivisorNonZero);
            facts.NoDivideOverflow = noOverflow && (first || facts.NoDivideOverflow);
        }
        facts.Reached = true;
    }

    public void Jump(int slot, bool taken)
    {
        if (taken) _facts[slot].MayJump = true;
        else _facts[slot].MayFallThrough = true;
    }

    /// <summary>A memory access; <see cref="RegionKind.Unknown"/> stays once two paths differ.</summary>
    public void Access(int slot, bool first, RegionKind region, int map, long offsetMin, long offsetMax)
    {
        ref var facts = ref _facts[slot];
        if (first)
        {
            (facts.Region, facts.Map, facts.OffsetMin, facts.OffsetMax) = (region, map, offsetMin, offsetMax);
            return;
        }
        if (facts.Region != region)
        {
            (facts.Region, facts.Map, facts.OffsetMin, facts.OffsetMax) = (RegionKind.Unknown, NoMap, long.MinValue, long.MaxValue);
            return;
        }
        if (facts.Map != map) facts.Map = NoMap;
        facts.OffsetMin = Math.Min(facts.OffsetMin, offsetMin);
        facts.OffsetMax = Math.Max(facts.OffsetMax, offsetMax);
    }

    /// <summary>The region and lowest offset an instruction has accessed so far.</summary>
    public (RegionKind Region, long Offset) RegionOf(int slot) => (_facts[slot].Region, _facts[slot].OffsetMin);

    public void MapArgument(int slot, bool first, int map, long constantKey)
    {
        ref var facts = ref _facts[slot];
        if (first) (facts.Map, facts.ConstantKey) = (map, constantKey);
        if (facts.Map != map) facts.Map = NoMap;
        if (facts.ConstantKey != constantKey || facts.Map == NoMap) facts.ConstantKey = -1;
    }

    private static void Range(Value? value, bool first, ref ulong min, ref ulong max)
    {
        var (low, high) = value is { IsNumber: true } ? (value.Number.UMin, value.Number.UMax) : (0, ulong.MaxValue);
        if (first) (min, max) = (low, high);
        else (min, max) = (Math.Min(min, low), Math.Max(max, high));
    }
}
