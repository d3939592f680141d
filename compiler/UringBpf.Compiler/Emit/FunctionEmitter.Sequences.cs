using System.Reflection.Emit;
using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>Runs of instructions that do one thing together: clearing and copying memory, multiplying and adding.</summary>
internal sealed partial class FunctionEmitter
{
    // Shorter runs are as quick one by one.
    private const int MinBlockBytes = 32;

    // Writes a sequence that starts at an instruction; gives the slot after it, or 0 when there is none.
    private int TryEmitSequence(BasicBlock block, int slot)
    {
        var row = _program.Row(slot);
        return row.Operation switch
        {
            Operation.Store when _options.MoveBlocks => TryEmitClear(block, slot),
            Operation.Load when _options.MoveBlocks => TryEmitCopy(block, slot),
            Operation.Multiply when _options.ReassociateSums => TryEmitMultiplyAdd(row, block, slot),
            _ => 0,
        };
    }

    // r *= 2^n ± 1; r += x: the sum of x and r does not wait for the shift, which takes a cycle off the chain of a hash. A load
    // may stand between the two.
    private int TryEmitMultiplyAdd(OpcodeRow row, BasicBlock block, int slot)
    {
        ref readonly var multiply = ref _program.Instructions.ItemRef(slot);
        if (row.Source != OperandSource.Immediate || multiply.Immediate < 7) return 0;
        var register = multiply.Destination;
        var sum = slot + 1;
        if (sum < block.End && _program.Row(sum).Operation == Operation.Load && _program.Instructions[sum].Destination != register && _program.Instructions[sum].Source != register) sum++;
        if (sum >= block.End) return 0;
        var next = _program.Row(sum);
        ref readonly var add = ref _program.Instructions.ItemRef(sum);
        if (next.Operation != Operation.Add || next.Width != row.Width || next.Source != OperandSource.Register
            || add.Destination != register || add.Source == register || add.Source == FrameRegister) return 0;
        var adds = System.Numerics.BitOperations.IsPow2(multiply.Immediate - 1);
        // 9 is one instruction by itself.
        if (multiply.Immediate == 9 || (!adds && !System.Numerics.BitOperations.IsPow2(multiply.Immediate + 1L))) return 0;
        var shift = System.Numerics.BitOperations.Log2((uint)multiply.Immediate + (adds ? 0u : 1u));
        if (shift >= row.Width - 1) return 0;

        if (sum > slot + 1)
        {
            _slot = slot + 1;
            _target.BeginInstruction(_slot);
            EmitInstruction(_program.Row(_slot), _program.Instructions[_slot]);
        }
        // RyuJIT keeps this order, (x ± r) + (r << n), and no other.
        _slot = sum;
        _target.BeginInstruction(_slot);
        Load(add.Source, row.Width);
        _slot = slot;
        Load(register, row.Width);
        _il.Emit(adds ? OpCodes.Add : OpCodes.Sub);
        Load(register, row.Width);
        LoadConstant(shift, 32);
        _il.Emit(OpCodes.Shl);
        _il.Emit(OpCodes.Add);
        _slot = sum;
        Store(register, row.Width);
        return sum + 1;
    }

    // Stores of zero side by side.
    private int TryEmitClear(BasicBlock block, int slot)
    {
        var run = new BlockRun();
        var end = slot;
        for (; end < block.End; end++)
        {
            if (!IsBlockAccess(Operation.Store, end, out var row, out var store)) break;
            if (end > slot && store.Destination != _program.Instructions[slot].Destination) break;
            if (!StoresZero(block, row, store, slot) || !run.TryExtend(store.Offset, row.AccessBytes)) break;
        }
        if (run.Bytes < MinBlockBytes) return 0;
        _slot = slot;
        Load64(_program.Instructions[slot].Destination);
        AddDisplacement(run.Start);
        LoadConstant(0, 32);
        LoadConstant(run.Bytes, 32);
        _il.Emit(OpCodes.Unaligned, (byte)1);
        _il.Emit(OpCodes.Initblk);
        return end;
    }

    private bool StoresZero(BasicBlock block, OpcodeRow row, in Instruction store, int start) =>
        row.Source == OperandSource.Immediate ? store.Immediate == 0
        // Stores write no register, so what holds at the first holds at the last.
        : store.Source != FrameRegister && BlockValues.Before(_program, block, start).Constant(store.Source) == 0;

    // Loads, each followed by a store of what it loaded, over bytes side by side that the verifier knows to lie apart.
    private int TryEmitCopy(BasicBlock block, int slot)
    {
        var run = new BlockRun();
        ref readonly var first = ref _program.Instructions.ItemRef(slot);
        var end = slot;
        var target = -1;
        // The last load of each register.
        var loads = new List<int>();
        for (; end + 1 < block.End; end += 2)
        {
            if (!IsBlockAccess(Operation.Load, end, out var loadRow, out var load) || !IsBlockAccess(Operation.Store, end + 1, out var storeRow, out var store)) break;
            if (storeRow.Source != OperandSource.Register || store.Source != load.Destination || storeRow.Bits != loadRow.Bits) break;
            if (store.Destination == load.Destination || load.Source != first.Source) break;
            if (target < 0) target = store.Destination;
            var displacement = store.Offset - load.Offset;
            if (store.Destination != target || displacement != _program.Instructions[slot + 1].Offset - first.Offset) break;
            if (!LieApart(end, end + 1) || !run.TryExtend(load.Offset, loadRow.AccessBytes)) break;
            var register = load.Destination;
            loads.RemoveAll(other => _program.Instructions[other].Destination == register);
            loads.Add(end);
            // It loses the address: nothing can follow.
            if (load.Destination != load.Source) continue;
            end += 2;
            break;
        }
        if (run.Bytes < MinBlockBytes || !AllLieApart(slot, end)) return 0;
        // Others may write to map values meanwhile: a register that were loaded a second time could differ from what was stored,
        // and a check of the one would not be a check of the other, as the verifier takes it to be.
        loads.RemoveAll(load => !IsReadAfter(block, end, _program.Instructions[load].Destination));
        if (loads.Count > 0 && _program.Facts(slot).Region != RegionKind.Stack) return 0;

        var distance = _program.Instructions[slot + 1].Offset - first.Offset;
        _slot = slot + 1;
        Load64(target);
        AddDisplacement(run.Start + distance);
        _slot = slot;
        Load64(first.Source);
        AddDisplacement(run.Start);
        LoadConstant(run.Bytes, 32);
        _il.Emit(OpCodes.Unaligned, (byte)1);
        _il.Emit(OpCodes.Cpblk);
        // Who reads the registers later finds what was loaded last.
        foreach (var load in loads)
        {
            _slot = load;
            EmitInstruction(_program.Row(load), _program.Instructions[load]);
        }
        return end;
    }

    private bool IsBlockAccess(Operation operation, int slot, out OpcodeRow row, out Instruction instruction)
    {
        row = default!;
        instruction = default;
        if (!_program.HasRow(slot) || !_program.IsReached(slot)) return false;
        row = _program.Row(slot);
        instruction = _program.Instructions[slot];
        if (row.Operation != operation || !_program.IsPlainAccess(slot)) return false;
        _slot = slot;
        return StackLocal(row.AccessBytes, operation == Operation.Store ? instruction.Destination : instruction.Source, instruction.Offset) is null;
    }

    // A load and a store whose places the verifier knows to be different memory, or different parts of one.
    private bool LieApart(int load, int store)
    {
        ref readonly var from = ref _program.Facts(load);
        ref readonly var to = ref _program.Facts(store);
        var known = from.Region is RegionKind.Stack or RegionKind.MapValue && to.Region is RegionKind.Stack or RegionKind.MapValue;
        if (!known) return false;
        if (from.Region != to.Region) return true;
        if (from.Region == RegionKind.MapValue)
        {
            // Which map it is may depend on the path, and an inner map may be one that the program names too.
            if (from.Map < 0 || to.Map < 0) return false;
            if (AreDifferentMaps(from.Map, to.Map)) return true;
            // Values of a map with many entries may be different ones, whatever their offsets.
            if (_program.Verified.Spec.Maps[from.Map] is not { Type: MapType.Array, MaxEntries: 1 }) return false;
        }
        return from.OffsetMin == from.OffsetMax && to.OffsetMin == to.OffsetMax;
    }

    // Specs that are equal name one map of a set.
    private bool AreDifferentMaps(int a, int b) => a != b && _program.Verified.Spec.Maps[a] != _program.Verified.Spec.Maps[b];

    // Every load of the run against every store: their ranges as wholes.
    private bool AllLieApart(int slot, int end)
    {
        ref readonly var load = ref _program.Facts(slot);
        ref readonly var store = ref _program.Facts(slot + 1);
        if (load.Region != store.Region || load.Region == RegionKind.MapValue && AreDifferentMaps(load.Map, store.Map)) return true;
        long fromLow = long.MaxValue, fromHigh = long.MinValue, toLow = long.MaxValue, toHigh = long.MinValue;
        for (var at = slot; at < end; at += 2)
        {
            ref readonly var from = ref _program.Facts(at);
            ref readonly var to = ref _program.Facts(at + 1);
            var bytes = _program.Row(at).AccessBytes;
            (fromLow, fromHigh) = (Math.Min(fromLow, from.OffsetMin), Math.Max(fromHigh, from.OffsetMin + bytes));
            (toLow, toHigh) = (Math.Min(toLow, to.OffsetMin), Math.Max(toHigh, to.OffsetMin + bytes));
        }
        return fromHigh <= toLow || toHigh <= fromLow;
    }

    private bool IsReadAfter(BasicBlock block, int slot, int register)
    {
        for (; slot < block.End; slot += _program.Slots(slot))
        {
            if ((_program.Reads(slot) >> register & 1) != 0) return true;
            if ((_program.Writes(slot) >> register & 1) != 0) return false;
        }
        return (block.LiveOut >> register & 1) != 0;
    }

    private void AddDisplacement(int displacement)
    {
        if (displacement != 0)
        {
            LoadConstant(displacement, 64);
            _il.Emit(OpCodes.Add);
        }
        _il.Emit(OpCodes.Conv_U);
    }

    // Bytes that grow at one end, upwards or downwards.
    private struct BlockRun
    {
        private int _parts;

        public int Start { get; private set; }
        public int Bytes { get; private set; }

        public bool TryExtend(int offset, int bytes)
        {
            if (_parts == 0) Start = offset;
            else if (offset == Start - bytes && (_parts == 1 || _down)) (Start, _down) = (offset, true);
            else if (offset != Start + Bytes || (_parts > 1 && _down)) return false;
            Bytes += bytes;
            _parts++;
            return true;
        }

        private bool _down;
    }
}
