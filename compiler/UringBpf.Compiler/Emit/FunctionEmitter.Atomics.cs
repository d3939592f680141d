using System.Reflection.Emit;
using UringBpf.Bytecode;

namespace UringBpf.Compiler;

/// <summary>Atomic operations (RFC 9669 section 5.3), load-acquire and store-release.</summary>
internal sealed partial class FunctionEmitter
{
    private void EmitAtomic(OpcodeRow row, in Instruction instruction)
    {
        switch (row.Operation)
        {
            case Operation.LoadAcquire:
                LoadAddress(row, instruction, instruction.Source);
                _il.Emit(OpCodes.Volatile);
                _il.Emit(LoadOpcode(row.Bits));
                Store(instruction.Destination, row.Bits == 64 ? 64 : 32);
                return;
            case Operation.StoreRelease:
                LoadAddress(row, instruction, instruction.Destination);
                Load(instruction.Source, row.Bits == 64 ? 64 : 32);
                _il.Emit(OpCodes.Volatile);
                _il.Emit(StoreOpcode(row.Bits));
                return;
        }

        var width = row.Bits;
        LoadAddress(row, instruction, instruction.Destination);
        if (row.Operation == Operation.AtomicCompareExchange) Load(0, width);
        Load(instruction.Source, width);
        CallSupport(AtomicName(row.Operation) + (width == 64 ? "64" : "32"));
        switch (row.Operation)
        {
            case Operation.AtomicAdd or Operation.AtomicOr or Operation.AtomicAnd or Operation.AtomicXor:
                _il.Emit(OpCodes.Pop);
                break;
            case Operation.AtomicCompareExchange:
                Store(0, width);
                break;
            default:
                Store(instruction.Source, width);
                break;
        }
    }

    private static string AtomicName(Operation operation) => operation switch
    {
        Operation.AtomicAdd => "Add",
        Operation.AtomicFetchAdd => "FetchAdd",
        Operation.AtomicOr or Operation.AtomicFetchOr => "FetchOr",
        Operation.AtomicAnd or Operation.AtomicFetchAnd => "FetchAnd",
        Operation.AtomicXor or Operation.AtomicFetchXor => "FetchXor",
        Operation.AtomicExchange => "Exchange",
        _ => "CompareExchange",
    };
}
