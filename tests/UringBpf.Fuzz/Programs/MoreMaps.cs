using System.Runtime.InteropServices;
using UringBpf.Bytecode;
using UringBpf.Runtime;
using UringBpf.Verifier;

namespace UringBpf.Fuzz;

/// <summary>The maps that the kernel's programs do not have: put back byte for byte before each run, and compared so after it.</summary>
internal sealed unsafe class MoreMaps : IDisposable
{
    private readonly List<(BpfMap Map, byte[] Fresh)> _all = [];
    private readonly BpfMap[] _inner = [MapFactory.Create(Scenery.Inner), MapFactory.Create(Scenery.Inner)];
    private readonly List<BpfProgram> _targets = [];

    /// <summary>Fills them.</summary>
    public MoreMaps(MapSet maps)
    {
        // Seeds that are the same in every process.
        var filter = (BloomFilterOps.Filter*)maps[Scenery.Maps[Scenery.Bloom]].Header->Data;
        (filter->Seed, filter->Multiplier) = (7, 0x9e3779b97f4a7c15);
        var value = new byte[16];
        foreach (var table in new[] { Scenery.Recent, Scenery.SlotTable, Scenery.RecentSlots, Scenery.Prefixes })
        {
            var map = (KeyedMap)maps[Scenery.Maps[table]];
            for (var key = 0; key < 2; key++)
            {
                value.AsSpan().Fill((byte)(16 * table + key));
                map.Update(table == Scenery.Prefixes ? [(byte)(8 + 24 * key), 0, 0, 0, 0, 0, 0, 0] : [(byte)key, 0, 0, 0, 0, 0, 0, 0], Values(map, value));
            }
        }
        foreach (var queue in new[] { Scenery.Queue, Scenery.Stack })
        {
            for (byte element = 1; element < 3; element++)
            {
                value.AsSpan().Fill(element);
                ((QueueMap)maps[Scenery.Maps[queue]]).Push(value);
            }
        }
        // One of the three keys leads nowhere.
        for (var index = 0; index < 2; index++)
        {
            ((MapOfMaps)maps[Scenery.Maps[Scenery.Outer]]).Set(index, _inner[index]);
            ((MapOfMaps)maps[Scenery.Maps[Scenery.OuterTable]]).Set([(byte)index, 0, 0, 0, 0, 0, 0, 0], _inner[1 - index]);
        }
        foreach (var type in ProgramTypes.All) AddTargets(type, maps);
        foreach (var index in new[] { Scenery.Recent, Scenery.Slots, Scenery.SlotTable, Scenery.RecentSlots, Scenery.Prefixes, Scenery.Locked, Scenery.Queue, Scenery.Stack, Scenery.Bloom, Scenery.Ring }) Keep(maps[Scenery.Maps[index]]);
        foreach (var map in _inner) Keep(map);
    }

    /// <summary>The maps that <see cref="Scenery.Outer"/> and <see cref="Scenery.OuterTable"/> hold.</summary>
    public IReadOnlyList<BpfMap> Inner => _inner;

    /// <summary>Bytes of <see cref="Put"/>.</summary>
    public int Bytes => _all.Sum(one => one.Fresh.Length);

    /// <summary>As new.</summary>
    public void Reset()
    {
        foreach (var (map, fresh) in _all) fresh.CopyTo(new Span<byte>(map.Header->Data, fresh.Length));
    }

    /// <summary>What they hold.</summary>
    public void Put(Span<byte> target)
    {
        foreach (var (map, fresh) in _all)
        {
            new Span<byte>(map.Header->Data, fresh.Length).CopyTo(target);
            target = target[fresh.Length..];
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var target in _targets) target.Dispose();
        foreach (var map in _inner) map.Dispose();
    }

    // Per-CPU maps take one value for each slot.
    private static byte[] Values(KeyedMap map, byte[] value) =>
        map.Spec.Type is MapType.PerCpuHash or MapType.LruPerCpuHash ? [.. Enumerable.Repeat(value, ExecutionSlot.Count).SelectMany(one => one)] : value;

    private void Keep(BpfMap map)
    {
        var bytes = (int)(map.Header->Bytes - (ulong)(map.Header->Data - (byte*)map.Header));
        _all.Add((map, new Span<byte>(map.Header->Data, bytes).ToArray()));
    }

    // One that leaves a mark, and one that goes on in itself until no tail call is left.
    private void AddTargets(ProgramType type, MapSet maps)
    {
        var specs = Scenery.MapsOf(type);
        var targets = (ProgramArrayMap)maps[specs[Scenery.Targets]];
        string[] texts =
        [
            $"r2 = map_val(map_by_idx({Scenery.Globals})) + 8 ll\n r3 = 77\n *(u64 *)(r2 + 0) = r3\n r0 = 0\n exit",
            $"r6 = r1\n r2 = map_val(map_by_idx({Scenery.Globals})) + 16 ll\n r3 = 3\n lock *(u64 *)(r2 + 0) += r3\n r1 = r6\n r2 = map_by_idx({Scenery.Targets}) ll\n r3 = 1\n call 12\n r0 = 0\n exit",
        ];
        for (var index = 0; index < texts.Length; index++)
        {
            var code = Assembler.Assemble(texts[index]);
            var spec = new ProgramSpec { Name = $"target{index}", Type = type, Instructions = code, Maps = specs, OwnInstructions = code.Length };
            var program = InterpretedProgram.Create(ProgramVerifier.VerifyOrThrow(spec), maps);
            _targets.Add(program);
            targets.Set(index, program);
        }
    }
}
