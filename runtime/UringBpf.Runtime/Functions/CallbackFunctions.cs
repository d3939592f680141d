using System.ComponentModel;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>Helpers that call back into the program (<see cref="CallbackTarget"/>). Arguments are register values.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static unsafe class CallbackFunctions
{
    /// <summary>bpf_loop: rounds made, a callback that returned non-zero included; -EINVAL for flags, -E2BIG for more than
    /// <see cref="Limits.LoopRounds"/> rounds.</summary>
    public static ulong Loop(ulong rounds, ulong callback, ulong context, ulong flags, ExecutionState* state)
    {
        if (flags != 0) return Errno.Status(Errno.EINVAL);
        // The argument is 32 bits wide.
        var count = (uint)rounds;
        if (count > Limits.LoopRounds) return Errno.Status(Errno.E2BIG);
        var target = (CallbackTarget*)callback;
        var frame = state->CallerFrame;
        for (uint i = 0; i < count; i++)
        {
            if (target->Invoke(target->Self, i, context, 0, 0, frame, state) != 0 || state->Fault != RunFault.None) return i + 1;
        }
        return count;
    }

    /// <summary>bpf_for_each_map_elem: entries visited; -EINVAL for flags or a map that cannot be walked. No lock is held while the
    /// callback runs; it may update and delete. Entries that stay, unchanged, are visited exactly once.</summary>
    public static ulong ForEachMapElement(ulong map, ulong callback, ulong context, ulong flags, ExecutionState* state)
    {
        if (flags != 0) return Errno.Status(Errno.EINVAL);
        var target = (CallbackTarget*)callback;
        switch (((MapHeader*)map)->Type)
        {
            case MapType.Array or MapType.PerCpuArray:
                return WalkArray((MapHeader*)map, target, context, state);
            case MapType.Hash or MapType.LruHash or MapType.PerCpuHash or MapType.LruPerCpuHash:
                return WalkHash((MapHeader*)map, target, context, state);
            default:
                return Errno.Status(Errno.EINVAL);
        }
    }

    private static ulong WalkArray(MapHeader* map, CallbackTarget* target, ulong context, ExecutionState* state)
    {
        var frame = state->CallerFrame;
        var key = &state->CallbackKeys[state->CallbackDepth++ % Limits.Frames];
        var elements = map->Type == MapType.PerCpuArray ? map->Data + (ulong)state->Slot * map->SlotStride : map->Data;
        ulong visited = 0;
        while (visited < map->MaxEntries)
        {
            *key = visited;
            var result = target->Invoke(target->Self, (ulong)map, (ulong)key, (ulong)(elements + visited * map->Stride), context, frame, state);
            visited++;
            if (result != 0 || state->Fault != RunFault.None) break;
        }
        state->CallbackDepth--;
        return visited;
    }

    private static ulong WalkHash(MapHeader* map, CallbackTarget* target, ulong context, ExecutionState* state)
    {
        var frame = state->CallerFrame;
        var table = (HashTable*)map->Data;
        var cursor = default(MapCursor);
        ulong visited = 0;
        while (HashTable.Next(table, ref cursor, out var link))
        {
            var element = HashTable.Element(table, link);
            // Deleted and in use for another key by now.
            if (!HashTable.IsCurrent(element, link)) continue;
            var value = element + table->ValueOffset + (ulong)state->Slot * table->SlotStride;
            visited++;
            var result = target->Invoke(target->Self, (ulong)map, (ulong)(element + HashTable.KeyOffset), (ulong)value, context, frame, state);
            if (result != 0 || state->Fault != RunFault.None) break;
        }
        return visited;
    }
}
