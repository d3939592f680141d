using System.Runtime.CompilerServices;
using UringBpf.Bytecode;

namespace UringBpf.Runtime;

/// <summary>Array and per-CPU array, global data included.</summary>
internal sealed unsafe class ArrayMap : KeyedMap
{
    private readonly uint _slots;

    public ArrayMap(MapSpec spec) : base(CheckArray(spec), Bytes(spec))
    {
        _slots = IsPerCpu(spec) ? (uint)ExecutionSlot.Count : 1;
        Header->SlotStride = SlotStride(spec);
        if (spec.InitialValue.IsDefaultOrEmpty) return;
        if (spec.InitialValue.Length != spec.ValueSize || spec.MaxEntries != 1)
            throw Refused(spec, $"its initial value is {spec.InitialValue.Length} bytes, its only element {spec.ValueSize}");
        spec.InitialValue.AsSpan().CopyTo(new Span<byte>(Header->Data, spec.ValueSize));
    }

    public override int Count => Spec.MaxEntries;

    /// <summary>Copies bytes out of the first element.</summary>
    internal void Read(uint offset, byte* to, uint bytes)
    {
        var activity = Enter();
        ValueMemory.CopyWords(to, Header->Data + offset, bytes);
        Leave(activity);
    }

    /// <summary>Copies bytes into the first element; -EPERM when frozen.</summary>
    internal int Write(uint offset, byte* from, uint bytes)
    {
        if (Spec.IsFrozen) return -Errno.EPERM;
        var activity = Enter();
        ValueMemory.CopyWords(Header->Data + offset, from, bytes);
        Leave(activity);
        return 0;
    }

    private protected override bool CopyOut(byte* key, byte* value, bool locked)
    {
        var index = Unsafe.ReadUnaligned<uint>(key);
        if (index >= Header->MaxEntries) return false;
        for (uint slot = 0; slot < _slots; slot++)
        {
            var element = ArrayOps.At(Header, index, slot);
            if (locked) ValueMemory.Acquire((int*)(element + Header->SpinLockOffset));
            ValueMemory.CopyOut(value + slot * Header->Stride, element, Header->ValueSize, Header->SpinLockOffset);
            if (locked) ValueMemory.Release((int*)(element + Header->SpinLockOffset));
        }
        return true;
    }

    private protected override int CopyIn(byte* key, byte* value, MapUpdateFlags flags)
    {
        var index = Unsafe.ReadUnaligned<uint>(key);
        var result = 0UL;
        for (uint slot = 0; slot < _slots && result == 0; slot++)
            result = ArrayOps.Write(Header, ArrayOps.At(Header, index, slot), value + slot * Header->Stride, (ulong)flags);
        return (int)result;
    }

    private protected override int Remove(byte* key, byte* value) => -Errno.EINVAL;

    private protected override bool Next(ref MapCursor cursor, byte* key, byte* value)
    {
        if (cursor.Bucket >= Header->MaxEntries) return false;
        var index = cursor.Bucket++;
        Unsafe.WriteUnaligned(key, index);
        return CopyOut(key, value, locked: false);
    }

    private static bool IsPerCpu(MapSpec spec) => spec.Type == MapType.PerCpuArray;

    private static ulong SlotStride(MapSpec spec) => ((ulong)spec.MaxEntries * RoundUp8((uint)spec.ValueSize) + 63) & ~63UL;

    private static ulong Bytes(MapSpec spec) => SlotStride(spec) * (ulong)(IsPerCpu(spec) ? ExecutionSlot.Count : 1);

    private static MapSpec CheckArray(MapSpec spec)
    {
        Check(spec, 4, 4, 1, MaxValueSize, MapFlags.MemoryMappable);
        return IsPerCpu(spec) ? CheckPerCpu(spec) : spec;
    }
}
