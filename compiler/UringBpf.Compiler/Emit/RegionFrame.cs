using System.Reflection.Emit;
using System.Runtime.InteropServices;

namespace UringBpf.Compiler;

/// <summary>The registers of a split function between two of its regions. Public for persisted assemblies.</summary>
[StructLayout(LayoutKind.Sequential)]
[System.ComponentModel.EditorBrowsable(System.ComponentModel.EditorBrowsableState.Never)]
public unsafe struct RegionRegisters
{
    /// <summary>r0..r9.</summary>
    public fixed ulong Values[10];
}

/// <summary>One region of a long function: takes the live registers from memory and leaves them there.</summary>
internal sealed class RegionFrame(RegionPlan plan, int region, bool isMain) : FunctionFrame
{
    private const short RegistersArgument = 0, BlockArgument = 1, StackTopArgument = 2, StateArgument = 3;

    private readonly List<(Label Label, BasicBlock From, BasicBlock To)> _exits = [];

    public override bool IsMain => isMain;

    public override void EmitEntry(FunctionEmitter emitter)
    {
        var il = emitter.IL;
        foreach (var entry in plan.Entries(region))
        {
            var next = il.DefineLabel();
            il.Emit(OpCodes.Ldarg, BlockArgument);
            il.Emit(OpCodes.Ldc_I4, entry.Index);
            il.Emit(OpCodes.Bne_Un, next);
            for (var register = 0; register < 10; register++)
            {
                if ((entry.LiveIn >> register & 1) == 0) continue;
                LoadRegisterAddress(il, register);
                il.Emit(OpCodes.Ldind_I8);
                emitter.StoreAtStart(entry, register);
            }
            emitter.LoadStackAtStart(entry);
            il.Emit(OpCodes.Br, emitter.LabelOf(entry));
            il.MarkLabel(next);
        }
        // No other block is asked for.
        il.Emit(OpCodes.Ldc_I4, RegionPlan.Return);
        il.Emit(OpCodes.Conv_I8);
        il.Emit(OpCodes.Ret);
    }

    public override Label ExitTo(FunctionEmitter emitter, BasicBlock from, BasicBlock to)
    {
        var label = emitter.IL.DefineLabel();
        _exits.Add((label, from, to));
        return label;
    }

    public override void EmitReturn(FunctionEmitter emitter)
    {
        var il = emitter.IL;
        var result = il.DeclareLocal(typeof(ulong));
        il.Emit(OpCodes.Stloc, result);
        LoadRegisterAddress(il, 0);
        il.Emit(OpCodes.Ldloc, result);
        il.Emit(OpCodes.Stind_I8);
        il.Emit(OpCodes.Ldc_I4, RegionPlan.Return);
        il.Emit(OpCodes.Conv_I8);
        il.Emit(OpCodes.Ret);
    }

    public override void EmitEnd(FunctionEmitter emitter)
    {
        var il = emitter.IL;
        foreach (var (label, from, to) in _exits)
        {
            il.MarkLabel(label);
            for (var register = 0; register < 10; register++)
            {
                if ((to.LiveIn >> register & 1) == 0) continue;
                LoadRegisterAddress(il, register);
                emitter.LoadAtEnd(from, register);
                il.Emit(OpCodes.Stind_I8);
            }
            emitter.StoreStackFor(to);
            il.Emit(OpCodes.Ldc_I4, to.Index);
            il.Emit(OpCodes.Conv_I8);
            il.Emit(OpCodes.Ret);
        }
    }

    public override void LoadState(FunctionEmitter emitter) => emitter.IL.Emit(OpCodes.Ldarg, StateArgument);

    public override void LoadStackTop(FunctionEmitter emitter) => emitter.IL.Emit(OpCodes.Ldarg, StackTopArgument);

    private static void LoadRegisterAddress(ILGenerator il, int register)
    {
        il.Emit(OpCodes.Ldarg, RegistersArgument);
        if (register == 0) return;
        il.Emit(OpCodes.Ldc_I4, register * sizeof(ulong));
        il.Emit(OpCodes.Conv_I);
        il.Emit(OpCodes.Add);
    }
}

/// <summary>Writes the method of a split function: keeps its registers and calls one region after the other.</summary>
internal static class RegionDriver
{
    public static void Emit(FunctionGraph function, RegionPlan plan, CodeTarget target)
    {
        var il = target.Generator;
        var registers = il.DeclareLocal(typeof(RegionRegisters));
        var next = il.DeclareLocal(typeof(int));
        var isMain = function.Index == 0;
        var arguments = function.ArgumentRegisters;
        // The entry's registers are r1 and r2, after Self.
        foreach (var (argument, register) in isMain ? [(1, 1), (2, 2)] : arguments.Select((register, argument) => (argument, register)))
        {
            LoadRegisters();
            il.Emit(OpCodes.Ldc_I4, register * sizeof(ulong));
            il.Emit(OpCodes.Conv_I);
            il.Emit(OpCodes.Add);
            il.Emit(OpCodes.Ldarg, (short)argument);
            il.Emit(OpCodes.Conv_U8);
            il.Emit(OpCodes.Stind_I8);
        }
        il.Emit(OpCodes.Ldc_I4_0);
        il.Emit(OpCodes.Stloc, next);

        var loop = il.DefineLabel();
        var done = il.DefineLabel();
        il.MarkLabel(loop);
        il.Emit(OpCodes.Ldloc, next);
        il.Emit(OpCodes.Ldc_I4_0);
        il.Emit(OpCodes.Blt, done);
        Dispatch(0, plan.Regions.Count);
        il.MarkLabel(done);
        LoadRegisters();
        il.Emit(OpCodes.Ldind_I8);
        il.Emit(OpCodes.Ret);

        // A binary search over the regions' first blocks.
        void Dispatch(int from, int to)
        {
            if (to - from == 1)
            {
                LoadRegisters();
                il.Emit(OpCodes.Ldloc, next);
                if (isMain)
                {
                    LoadState();
                    il.Emit(OpCodes.Ldfld, typeof(Runtime.ExecutionState).GetField(nameof(Runtime.ExecutionState.StackTop))!);
                    il.Emit(OpCodes.Conv_U8);
                }
                else
                {
                    il.Emit(OpCodes.Ldarg, (short)arguments.Count);
                }
                LoadState();
                target.CallRegion(function.Index, from);
                il.Emit(OpCodes.Conv_I4);
                il.Emit(OpCodes.Stloc, next);
                il.Emit(OpCodes.Br, loop);
                return;
            }
            var middle = (from + to) / 2;
            var upper = il.DefineLabel();
            il.Emit(OpCodes.Ldloc, next);
            il.Emit(OpCodes.Ldc_I4, plan.Regions[middle][0].Index);
            il.Emit(OpCodes.Bge, upper);
            Dispatch(from, middle);
            il.MarkLabel(upper);
            Dispatch(middle, to);
        }

        void LoadRegisters()
        {
            il.Emit(OpCodes.Ldloca, registers);
            il.Emit(OpCodes.Conv_U);
        }

        void LoadState() => il.Emit(OpCodes.Ldarg, isMain ? EntryFrame.StateArgument : (short)(arguments.Count + 1));
    }
}
